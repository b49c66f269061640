import pytest

from dynasor.errors import ProgramError
from dynasor.request import ProgramId
from dynasor.scheduling.aging import Aging
from dynasor.scheduling.app_fifo import AppFifo
from dynasor.scheduling.fcfs import Fcfs
from dynasor.scheduling.gang import Gang
from dynasor.scheduling.scheduler import Scheduler
from dynasor.scheduling.sjf import Sjf
from dynasor.scheduling.table import ProgramTable

A, B = ProgramId("a"), ProgramId("b")


def waiting(*ids: str) -> Scheduler:
    """Requests of programs that are named by their first letters."""
    scheduler = Scheduler(Gang())
    for id in ids:
        scheduler.add(id, ProgramId(id[0]), 0.0)
    return scheduler


def order(scheduler: Scheduler) -> list[object]:
    return [request.id for request in scheduler.order(0.0, 99)]


def test_nothing_waits_at_first() -> None:
    scheduler = Scheduler(Fcfs())
    assert scheduler.next(0.0) is None
    assert scheduler.order(0.0, 3) == []


def test_no_more_are_ordered_than_are_asked_for() -> None:
    scheduler = waiting("a0", "a1", "b0")
    assert scheduler.order(0.0, 0) == []
    assert len(scheduler.order(0.0, 2)) == 2
    assert scheduler.table[A].start_rank is None, "to ask starts nothing"


def test_a_program_that_was_not_begun_leaves_with_its_last_request() -> None:
    scheduler = waiting("a0", "a1")
    scheduler.start("a0", 0.0)
    scheduler.finish("a0", 5, 0.0)
    assert scheduler.table[A].is_active
    scheduler.remove("a1", 0.0)
    assert A not in scheduler.table


def test_a_program_that_was_begun_stays_between_its_steps() -> None:
    scheduler = Scheduler(Gang())
    scheduler.begin(A, 0.0)
    scheduler.add("a0", A, 0.0)
    scheduler.next(0.0)
    scheduler.finish("a0", 5, 0.0)
    assert [row.id for row in scheduler.table] == [A]
    assert not scheduler.table[A].is_active, "its cache may go first"
    assert scheduler.table[A].start_rank == 0
    assert scheduler.end(A, 0.0) == ()
    assert len(scheduler.table) == 0


def test_the_end_of_a_program_removes_what_waits_and_leaves_what_runs() -> None:
    scheduler = waiting("a0", "a1", "b0", "a2")
    scheduler.add("deep", A, 0.0, depth=1)
    scheduler.start("a0", 0.0)
    scheduler.remove("a2", 0.0)
    assert [request.id for request in scheduler.end(A, 0.0)] == ["a1", "deep"]
    assert order(scheduler) == ["b0"]
    scheduler.finish("a0", 7, 0.0)
    assert A not in scheduler.table
    assert scheduler.end(A, 0.0) == ()


def test_what_was_preempted_waits_where_it_stood() -> None:
    scheduler = waiting("a0", "a1", "a2")
    for id in ("a0", "a1"):
        scheduler.start(id, 0.0)
        scheduler.served(id, 3, 0.0)
    scheduler.put_back("a0", 0.0)
    scheduler.put_back("a1", 0.0)
    assert order(scheduler) == ["a0", "a1", "a2"]
    assert scheduler.table[A].unfinished_tokens == 6
    assert scheduler.running_count == 0


def test_a_request_that_overtook_others_and_was_put_back_twice_is_there_once() -> None:
    scheduler = waiting("a0", "a1")
    for _ in range(2):
        scheduler.start("a1", 0.0)
        scheduler.put_back("a1", 0.0)
    assert order(scheduler) == ["a0", "a1"]
    assert [request.id for request in scheduler.end(A, 0.0)] == ["a0", "a1"]


def test_the_id_of_a_request_that_has_ended_may_come_again() -> None:
    scheduler = waiting("a0", "a1")
    assert scheduler.remove("a0", 0.0)
    assert not scheduler.remove("a0", 0.0)
    scheduler.add("a0", A, 0.0)
    assert order(scheduler) == ["a1", "a0"]


def test_the_greatest_key_of_those_that_run_is_the_one_to_preempt() -> None:
    scheduler = waiting("a0", "b0", "b1")
    for id in ("a0", "b0", "b1"):
        scheduler.start(id, 0.0)
    assert max(("a0", "b0", "b1"), key=lambda id: scheduler.key(id, 0.0)) == "b1"


def test_one_that_runs_at_once_is_one_that_was_added_and_started() -> None:
    quick, slow = Scheduler(Gang(Sjf())), Scheduler(Gang(Sjf()))
    ran = quick.run("a0", A, 1.0)
    slow.add("a0", A, 1.0)
    assert ran == slow.start("a0", 1.0)
    for scheduler in (quick, slow):
        scheduler.add("b0", B, 2.0)
        scheduler.add("a1", A, 3.0)
        assert (scheduler.waiting_count, scheduler.running_count) == (2, 1)
        assert [request.id for request in scheduler.order(4.0, 2)] == ["a1", "b0"], "a was begun"
        scheduler.finish("a0", 10, 5.0)
    with pytest.raises(ProgramError, match="a1 waits or runs already"):
        quick.run("a1", A, 6.0)


def test_a_program_that_comes_again_is_a_new_one() -> None:
    scheduler = Scheduler(AppFifo())
    scheduler.add("a0", A, 0.0)
    assert scheduler.next(0.0) is not None
    scheduler.add("b0", B, 1.0)
    scheduler.finish("a0", 10, 2.0)
    scheduler.add("a1", A, 3.0)
    assert [request.id for request in scheduler.order(4.0, 2)] == ["b0", "a1"]


def test_what_cannot_be_is_refused() -> None:
    scheduler = waiting("a0", "a1")
    scheduler.start("a0", 0.0)
    with pytest.raises(ProgramError, match="a0 waits or runs already"):
        scheduler.add("a0", B, 0.0)
    with pytest.raises(ProgramError, match="a0 runs already"):
        scheduler.start("a0", 0.0)
    with pytest.raises(ProgramError, match="a1 waits; start it"):
        scheduler.finish("a1", 1, 0.0)
    with pytest.raises(ProgramError, match="b0 neither waits nor runs"):
        scheduler.served("b0", 1, 0.0)
    with pytest.raises(ProgramError, match="program b is not running"):
        scheduler.progress(B, 0.0, remaining_knob=1)


@pytest.mark.parametrize("ordering", [Sjf(), Aging(Sjf(), patience=1e6)])
def test_a_program_that_is_ranked_anew_leaves_nothing_behind(ordering: Sjf | Aging) -> None:
    scheduler = Scheduler(ordering)
    for program in (A, B):
        scheduler.begin(program, 0.0)
        scheduler.add(program, program, 0.0)
    for knob in range(100):
        scheduler.progress(A, 0.0, remaining_knob=200 - knob)
        assert [request.id for request in scheduler.order(0.0, 2)] == [B, A]
    scheduler._lanes.settle(0.0)
    assert len(scheduler._lanes._places) == 2


def test_requests_that_wait_alone_are_started_at_once_and_leave_nothing_behind() -> None:
    scheduler = Scheduler(Aging(Sjf()))
    scheduler.begin(ProgramId("a"), 0.0)
    for number in range(500):
        scheduler.add(number, ProgramId("a"), float(number))
        started = scheduler.next(float(number))
        assert started is not None
        assert started.id == number
        scheduler.finish(number, 10, float(number))
    assert sum(len(lane.queue) for lanes in scheduler._lanes._lanes.values() for lane in lanes.values()) <= 1
    for id, program in ((1000, "a"), (1001, "b")):
        scheduler.add(id, ProgramId(program), 500.0)
    assert {request.id for request in (scheduler.next(500.0), scheduler.next(500.0)) if request} == {1000, 1001}
    assert scheduler.next(500.0) is None


def test_a_start_that_is_taken_back_leaves_no_rank_to_two_programs() -> None:
    table = ProgramTable()
    first, second = table.seen(A), table.seen(B)
    assert (table.start(first), table.start(second), table.start(first)) == (True, True, False)
    table.unstart(first)
    assert (first.start_rank, second.start_rank) == (None, 1)
    table.start(first)
    assert first.start_rank == 2
    table.unstart(first)
    table.start(first)
    assert first.start_rank == 2
