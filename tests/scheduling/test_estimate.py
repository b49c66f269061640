import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.errors import ProgramError
from dynasor.request import ProgramId
from dynasor.scheduling.estimate import History, Kind, expected_knob
from dynasor.scheduling.scheduler import Scheduler
from dynasor.scheduling.sjf import Sjf
from dynasor.scheduling.table import ProgramTable

SC = Kind("sc", "gsm8k")


def started(scheduler: Scheduler, id: str, program: ProgramId) -> str:
    scheduler.add(id, program, 0.0)
    scheduler.start(id, 0.0)
    return id


def test_history_speaks_for_its_kind_alone() -> None:
    history = History(default_tokens=100)
    other, unseen = Kind("mcts", "gsm8k"), Kind("sc", "math")
    assert history.branch_tokens(unseen) == 100, "nothing has landed at all"
    assert history.observe(SC, 60, 2) == (SC, None)
    assert history.observe(other, 300, 1) == (other, None)
    assert (history.branch_tokens(SC), history.branch_tokens(other)) == (30, 300)
    assert history.branch_tokens(unseen) == 120, "the mean of all branches"
    assert (history.has(SC), history.has(unseen)) == (True, False)


def test_a_kind_that_was_seen_once_goes_by_its_own_mean_however_near_that_was() -> None:
    history = History(default_tokens=100)
    assert history.observe(SC, 100, 1) == (SC, None)
    history.observe(Kind("mcts", "gsm8k"), 900, 1)
    assert history.branch_tokens(SC) == 100


def test_a_mean_is_published_once_it_has_moved_by_a_tenth() -> None:
    history = History()
    history.observe(SC, 100, 1)
    assert not history.observe(SC, 120, 1)
    assert history.branch_tokens(SC) == 100
    assert history.observe(SC, 120, 1)
    assert history.branch_tokens(SC) == 340 / 3


def test_the_surer_a_program_the_less_it_is_expected_to_need() -> None:
    assert expected_knob(5, 20, 0.0) == 20
    assert expected_knob(5, 20, 1.0) == 5
    assert expected_knob(0, 15, 0.6) == 6


def test_a_program_is_estimated_from_its_own_branches_once_it_has_some() -> None:
    scheduler = Scheduler(Sjf(), ProgramTable(History(default_tokens=100)))
    program = ProgramId("p")
    scheduler.begin(program, 0.0, kind=SC, remaining_knob=4)
    row = scheduler.table[program]
    assert row.remaining_tokens == 400
    scheduler.finish(started(scheduler, "0", program), 30, 0.0)
    scheduler.progress(program, 0.0, remaining_knob=3)
    assert row.remaining_tokens == 90
    scheduler.served(started(scheduler, "1", program), 25, 0.0)
    assert row.remaining_tokens == 65, "less what runs has generated"
    scheduler.served("1", 80, 0.0)
    assert row.remaining_tokens == 1, "it runs, so it needs something"
    scheduler.remove("1", 0.0)
    assert row.remaining_tokens == 90
    assert row.attained_tokens == 135, "cut branches count as served, and not in the mean"


def test_where_nobody_tells_each_request_counts_for_one_branch() -> None:
    scheduler = Scheduler(Sjf(), ProgramTable(History(default_tokens=100)))
    program = ProgramId("p")
    started(scheduler, "0", program)
    scheduler.add("1", program, 0.0)
    assert scheduler.table[program].remaining_tokens == 200


def test_a_program_that_tells_its_knob_is_measured_by_it() -> None:
    scheduler = Scheduler(Sjf())
    program = ProgramId("tree")
    scheduler.begin(program, 0.0, kind=SC, remaining_knob=2, knob=0)
    row = scheduler.table[program]
    for step in range(4):
        scheduler.finish(started(scheduler, str(step), program), 50, 0.0)
    assert row.branch_tokens == 256, "four requests, and no branch yet"
    scheduler.progress(program, 0.0, remaining_knob=1, knob=1)
    assert row.branch_tokens == 200
    assert scheduler.table.history.branch_tokens(SC) == 200
    scheduler.progress(program, 0.0, remaining_knob=1, knob=1)
    assert row.counted_branches == 1


def test_when_history_moves_those_who_go_by_it_are_ranked_anew() -> None:
    scheduler = Scheduler(Sjf(), ProgramTable(History(default_tokens=100)))
    other = Kind("mcts", "gsm8k")
    scheduler.table.history.observe(other, 100, 1)
    for index in range(100):
        scheduler.begin(ProgramId(f"sc{index}"), 0.0, kind=SC, remaining_knob=2)
        scheduler.add(index, ProgramId(f"sc{index}"), 0.0)
    scheduler.begin(ProgramId("mcts"), 0.0, kind=other, remaining_knob=1)
    scheduler.add("mcts", ProgramId("mcts"), 0.0)
    assert [request.id for request in scheduler.order(0.0, 1)] == ["mcts"]
    scheduler.begin(ProgramId("past"), 0.0, kind=SC)
    scheduler.finish(started(scheduler, "past", ProgramId("past")), 10, 0.0)
    order = [request.id for _ in range(26) for request in scheduler.order(0.0, 101)]
    assert order[:101] == [*range(4), "mcts", *range(4, 100)], "so many at a decision"
    assert order[-101:] == [*range(100), "mcts"], "20 tokens against 100"


def test_programs_that_have_left_need_no_new_rank() -> None:
    table = ProgramTable()
    for program in ("a", "b"):
        table.seen(ProgramId(program), SC)
    table.land(table[ProgramId("a")], 9)
    table.drop_if_done(table[ProgramId("b")])
    assert table.outdated(9) == []
    assert table.outdated(9) == []


def test_programs_of_kinds_that_nobody_has_seen_are_ranked_anew_when_the_mean_of_all_moves() -> None:
    scheduler = Scheduler(Sjf(), ProgramTable(History(default_tokens=100)))
    told = ProgramId("told")
    scheduler.begin(told, 0.0, remaining_knob=9)
    scheduler.add("told", told, 0.0)
    scheduler.tell(told, 150, 0.0)
    for index in range(6):
        program = ProgramId(f"new{index}")
        scheduler.begin(program, 0.0, kind=Kind("sc", f"set {index}"), remaining_knob=1)
        scheduler.add(index, program, 0.0)
    assert [request.id for request in scheduler.order(0.0, 7)] == [*range(6), "told"]
    scheduler.begin(ProgramId("past"), 0.0, kind=SC)
    scheduler.finish(started(scheduler, "past", ProgramId("past")), 400, 0.0)
    scheduler.order(0.0, 7)
    assert [request.id for request in scheduler.order(0.0, 7)] == ["told", *range(6)], "four at a decision"
    assert all(scheduler.table[ProgramId(f"new{index}")].remaining_tokens == 400 for index in range(6))


def test_what_a_client_tells_goes_before_what_is_learned() -> None:
    scheduler = Scheduler(Sjf(), ProgramTable(History(default_tokens=100)))
    program = ProgramId("p")
    scheduler.begin(program, 0.0, kind=SC)
    row = scheduler.table[program]
    scheduler.served(started(scheduler, "0", program), 40, 0.0)
    before = row.is_estimated
    scheduler.tell(program, 300, 0.0)
    assert (before, row.is_estimated) == (False, True)
    assert row.remaining_tokens == 300
    scheduler.served("0", 60, 0.0)
    assert row.remaining_tokens == 240, "less what was generated since"
    scheduler.finish("0", 100, 0.0)
    scheduler.progress(program, 0.0, remaining_knob=50)
    assert row.remaining_tokens == 240
    scheduler.tell(program, 30, 0.0)
    scheduler.served(started(scheduler, "1", program), 70, 0.0)
    assert row.remaining_tokens == 1, "it has requests, so it needs something"


def test_of_a_program_that_is_not_known_nothing_can_be_told() -> None:
    with pytest.raises(ProgramError, match="program p is not running; begin it, or tell before its end"):
        Scheduler(Sjf()).tell(ProgramId("p"), 30, 0.0)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3000), st.integers(1, 5)), max_size=60))
def test_a_mean_is_never_further_off_than_a_tenth(landed: list[tuple[int, int, int]]) -> None:
    history = History(default_tokens=77)
    all_tokens = all_branches = 0
    sums: dict[Kind, list[int]] = {}
    for number, tokens, branches in landed:
        kind = Kind("sc", str(number))
        history.observe(kind, tokens, branches)
        of_kind = sums.setdefault(kind, [0, 0])
        of_kind[0] += tokens
        of_kind[1] += branches
        all_tokens += tokens
        all_branches += branches
    for kind, (tokens, branches) in sums.items():
        assert abs(history.branch_tokens(kind) - tokens / branches) <= 0.1 * history.branch_tokens(kind) + 1e-9
    unseen, mean = history.branch_tokens(Kind("unseen")), all_tokens / all_branches if all_branches else 77
    assert abs(unseen - mean) <= 0.1 * unseen + 1e-9


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 900)), max_size=40))
def test_in_the_end_the_order_is_that_of_the_estimates(events: list[tuple[int, int, int]]) -> None:
    scheduler = Scheduler(Sjf(), ProgramTable(History(default_tokens=100)))
    for number, (kind, what, tokens) in enumerate(events):
        program = ProgramId(str(number))
        scheduler.begin(program, 0.0, kind=Kind("sc", str(kind)), remaining_knob=number % 3 + 1)
        scheduler.add(number, program, 0.0)
        if what == 1:
            scheduler.tell(program, tokens, 0.0)
        elif what == 2:
            scheduler.start(number, 0.0)
            scheduler.finish(number, tokens, 0.0)
            scheduler.end(program, 0.0)
    for _ in range(len(events)):
        ordered = scheduler.order(0.0, len(events))
    if events:
        needs = [scheduler.table[request.program].remaining_tokens for request in ordered]
        assert needs == sorted(needs)
