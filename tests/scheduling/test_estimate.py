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
    assert history.observe(SC, 60, 2)
    assert history.branch_tokens(SC) == 30
    assert history.branch_tokens(Kind("mcts", "gsm8k")) == 100


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
