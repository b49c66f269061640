from math import inf

import pytest

from dynasor.errors import UsageError
from dynasor.request import ProgramId
from dynasor.scheduling.aging import Aging
from dynasor.scheduling.app_fifo import AppFifo, DeepestFirst
from dynasor.scheduling.attained import LeastAttained
from dynasor.scheduling.deadline import EarliestDeadline, LeastSlack
from dynasor.scheduling.estimate import History
from dynasor.scheduling.fcfs import Fcfs
from dynasor.scheduling.gang import Gang
from dynasor.scheduling.ordering import Ordering
from dynasor.scheduling.prefix import Prefix
from dynasor.scheduling.scheduler import Scheduler
from dynasor.scheduling.sjf import Sjf
from dynasor.scheduling.table import ProgramTable
from dynasor.scheduling.waiting import Waiting
from support.scheduling_server import serve

A, B, C, D = (ProgramId(name) for name in "abcd")


def interleaved(ordering: Ordering) -> Scheduler:
    """Two requests each of programs a and b, that arrive in turns."""
    scheduler = Scheduler(ordering)
    for id, program in (("a0", A), ("b0", B), ("a1", A), ("b1", B)):
        scheduler.add(id, program, 0.0)
    return scheduler


def ids(requests: list[Waiting]) -> list[object]:
    return [request.id for request in requests]


def drain(scheduler: Scheduler, now: float = 0.0) -> list[object]:
    started = []
    while (request := scheduler.next(now)) is not None:
        started.append(request.id)
    return started


@pytest.mark.parametrize(("ordering", "mean"), [(Fcfs(), 9.0), (Gang(), 6.5), (AppFifo(), 6.5), (Gang(Sjf()), 6.5)])
def test_fig_7_two_programs_of_two_requests_in_a_batch_of_two(ordering: Ordering, mean: float) -> None:
    ended = serve(interleaved(ordering), {"a0": 4, "a1": 4, "b0": 5, "b1": 5}, slots=2)
    assert sum(ended.values()) / 2 == mean


@pytest.mark.parametrize(
    ("ordering", "order"),
    [(Fcfs(), "a0 b0 a1 b1"), (AppFifo(), "a0 a1 b0 b1"), (Gang(), "a0 a1 b0 b1"), (Gang(Fcfs()), "a0 a1 b0 b1")],
)
def test_an_order_is_what_starting_one_after_another_gives(ordering: Ordering, order: str) -> None:
    scheduler = interleaved(ordering)
    assert ids(scheduler.order(0.0, 9)) == order.split()
    assert scheduler.waiting_count == 4
    assert drain(scheduler) == order.split()


def test_a_gang_that_has_started_goes_on_though_a_shorter_program_comes() -> None:
    for ordering, order in ((Gang(Sjf()), ["a1", "b0"]), (Sjf(), ["b0", "a1"])):
        scheduler = Scheduler(ordering)
        scheduler.begin(A, 0.0, remaining_knob=2)
        scheduler.add("a0", A, 0.0)
        scheduler.add("a1", A, 0.0)
        scheduler.next(0.0)
        scheduler.begin(B, 1.0, remaining_knob=1)
        scheduler.add("b0", B, 1.0)
        assert drain(scheduler, 1.0) == order


def test_gangs_go_by_start_and_not_by_arrival() -> None:
    scheduler = interleaved(Gang())
    scheduler.start("b0", 0.0)
    assert drain(scheduler) == ["b1", "a0", "a1"]


def test_parrots_own_rule_prefers_later_steps_and_keeps_no_program_together() -> None:
    scheduler = Scheduler(DeepestFirst())
    for app in range(4):
        scheduler.add(app, ProgramId(str(app)), 0.0)
    started: list[object] = []
    for _ in range(4):
        request = scheduler.next(0.0)
        assert request is not None
        scheduler.add(4 + int(request.program), request.program, 0.0, depth=1)
        following = scheduler.next(0.0)
        assert following is not None
        started += [request.id, following.id]
    assert started == [0, 4, 1, 5, 2, 6, 3, 7]


def test_branches_of_equal_depth_are_first_come_first_served_under_parrots_rule() -> None:
    assert drain(interleaved(DeepestFirst())) == ["a0", "b0", "a1", "b1"]


def test_shortest_first_goes_by_remaining_knob_and_mean_tokens_of_the_program() -> None:
    scheduler = Scheduler(Sjf(), ProgramTable(History(default_tokens=100)))
    scheduler.begin(A, 0.0, remaining_knob=5)
    scheduler.begin(B, 0.0, remaining_knob=3)
    for id, program in (("a0", A), ("a1", A), ("b0", B)):
        scheduler.add(id, program, 0.0)
    assert ids(scheduler.order(0.0, 1)) == ["b0"], "300 tokens against 500"
    scheduler.start("a0", 0.0)
    scheduler.finish("a0", 20, 1.0)
    scheduler.progress(A, 1.0, remaining_knob=4)
    scheduler.progress(B, 1.0, remaining_knob=5)
    assert ids(scheduler.order(1.0, 1)) == ["a1"], "80 tokens against 100, by the history of its kind"


def test_least_attained_goes_by_levels() -> None:
    scheduler = interleaved(LeastAttained(quantum_tokens=10))
    scheduler.start("a0", 0.0)
    scheduler.served("a0", 9, 0.0)
    assert ids(scheduler.order(0.0, 1)) == ["a1"], "still in the first level"
    scheduler.served("a0", 1, 0.0)
    assert drain(scheduler) == ["b0", "b1", "a1"]


def test_the_earliest_deadline_first_and_those_without_last() -> None:
    scheduler = Scheduler(EarliestDeadline())
    for program, deadline in ((A, None), (B, 9.0), (C, 5.0)):
        scheduler.begin(program, 0.0, deadline=deadline)
        scheduler.add(program, program, 0.0)
    assert drain(scheduler) == [C, B, A]


def test_the_least_slack_first_though_its_deadline_is_later() -> None:
    scheduler = Scheduler(LeastSlack(tokens_per_s=100.0), ProgramTable(History(default_tokens=100)))
    for program, deadline, knob in ((A, 9.0, 8), (B, 5.0, 1), (C, None, 99)):
        scheduler.begin(program, 0.0, deadline=deadline, remaining_knob=knob)
        scheduler.add(program, program, 0.0)
    assert drain(scheduler) == [A, B, C], "it must begin at 1, the other at 4"


def test_the_longest_cached_prefix_first() -> None:
    cached = {"a0": 0, "b0": 64, "a1": 48, "b1": 64}
    scheduler = interleaved(Prefix(lambda request: cached[str(request.id)]))
    assert drain(scheduler) == ["b0", "b1", "a1", "a0"]


def test_who_would_compute_what_another_computes_is_put_off_until_it_is_cached() -> None:
    cached = dict.fromkeys(range(5), 0)
    scheduler = Scheduler(Prefix(lambda request: cached[int(str(request.id))]))
    for id, opening in enumerate(("x", "x", "y", "x", None)):
        scheduler.add(id, ProgramId(str(id)), 0.0, opening=opening)
    assert ids(scheduler.order(0.0, 9)) == [0, 2, 4, 1, 3]
    cached[3] = 32
    assert ids(scheduler.order(0.0, 9)) == [0, 2, 4, 1, 3]
    cached[3] = 33
    assert ids(scheduler.order(0.0, 9)) == [3, 0, 2, 4, 1], "more than 32 tokens are cached: nothing to wait for"


def test_prefixes_are_looked_at_up_to_128_waiting_requests() -> None:
    scheduler = Scheduler(Prefix(lambda request: request.rank))
    for id in range(129):
        scheduler.add(id, A, 0.0)
    assert ids(scheduler.order(0.0, 2)) == [0, 1]
    scheduler.remove(0, 0.0)
    assert ids(scheduler.order(0.0, 2)) == [128, 127]


def test_who_has_waited_long_for_what_it_needs_goes_first() -> None:
    scheduler = Scheduler(Aging(Sjf(), patience=2.0, tokens_per_s=100.0), ProgramTable(History(default_tokens=100)))
    scheduler.begin(A, 0.0, remaining_knob=5)
    scheduler.add("a0", A, 0.0)
    scheduler.begin(B, 9.0, remaining_knob=1)
    scheduler.add("b0", B, 9.0)
    assert ids(scheduler.order(9.999, 2)) == ["b0", "a0"]
    assert ids(scheduler.order(10.0, 2)) == ["a0", "b0"], "twice the 5 s that it needs"
    assert ids(scheduler.order(11.0, 2)) == ["a0", "b0"], "both have aged, and it had before"


def test_inside_a_gang_those_age_that_have_not_started() -> None:
    scheduler = Scheduler(Gang(Aging(Sjf(), patience=1.0, tokens_per_s=100.0)))
    scheduler.begin(A, 0.0, remaining_knob=5)
    scheduler.add("a0", A, 0.0)
    scheduler.begin(B, 13.0, remaining_knob=1)
    for id in ("b0", "b1", "b2"):
        scheduler.add(id, B, 13.0)
    assert ids(scheduler.order(12.0, 1)) == ["b0"]
    assert ids(scheduler.order(13.0, 1)) == ["a0"]
    scheduler.start("b0", 13.0)
    assert ids(scheduler.order(13.0, 9)) == ["b1", "b2", "a0"]


def test_thousands_that_age_at_once_do_so_a_few_at_a_time_and_in_order() -> None:
    scheduler = Scheduler(Aging(Sjf(), patience=1.99, tokens_per_s=256.0))
    for index in range(100):
        program = ProgramId(str(index))
        scheduler.begin(program, 0.0, remaining_knob=100 - index)
        scheduler.add(index, program, index * 2.0)
    assert ids(scheduler.order(198.0, 2)) == [99, 98], "the first ages after 1.99 times 100 s"
    assert ids(scheduler.order(1000.0, 100)) == list(range(100)), "they had aged in this order"


def test_time_changes_nothing_where_nothing_ages() -> None:
    scheduler = Scheduler(Fcfs())
    assert Gang(Fcfs()).place(scheduler.table.seen(A), Waiting("a0", A, 0, 0.0, 1.0), 5.0).until == inf


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: Aging(Fcfs(), patience=-1.0), "patience is -1.0"),
        (lambda: Aging(Fcfs(), patience=1.0, tokens_per_s=0.0), "tokens_per_s is 0.0"),
        (lambda: LeastSlack(tokens_per_s=0.0), "tokens_per_s is 0.0"),
        (lambda: LeastAttained(quantum_tokens=0), "quantum_tokens is 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(make: type, names: str) -> None:
    with pytest.raises(UsageError, match=names):
        make()
