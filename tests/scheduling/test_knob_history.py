import pytest

from dynasor.request import ProgramId
from dynasor.scheduling.estimate import History, Kind
from dynasor.scheduling.knob_history import KnobHistory
from dynasor.scheduling.scheduler import Scheduler
from dynasor.scheduling.sjf import Sjf
from dynasor.scheduling.table import ProgramTable

KIND, OTHER = Kind("sc", "easy"), Kind("sc", "hard")


def test_what_others_turned_beyond_the_same_grant_is_expected() -> None:
    history = KnobHistory()
    assert history.beyond(KIND, 5) is None
    history.observe(KIND, {5}, 5)
    history.observe(KIND, {5, 20}, 20)
    assert history.beyond(KIND, 5) == 15 / 2
    assert history.beyond(KIND, 20) == 0
    assert history.beyond(OTHER, 5) is None


def test_a_grant_that_was_not_turned_to_its_end_counts_as_nothing_beyond() -> None:
    history = KnobHistory()
    history.observe(KIND, {20}, 12)
    assert history.beyond(KIND, 20) == 0


def test_a_mean_is_published_once_it_has_moved_by_a_tenth() -> None:
    history = KnobHistory()
    published = [history.observe(KIND, {5}, knob) for knob in [15] * 9 + [5] + [15] * 9 + [4] * 9]
    assert published[:10] == [True, *[False] * 9], "the mean of ten is still nine tenths"
    assert published.count(True) == 4
    assert history.beyond(KIND, 5) == pytest.approx(6.67, abs=0.3)


def waits(scheduler: Scheduler, name: str, cap: int, granted: int) -> ProgramId:
    program = ProgramId(name)
    scheduler.begin(program, 0.0, kind=KIND, remaining_knob=cap, knob=0)
    scheduler.progress(program, 0.0, remaining_knob=cap, knob=0, granted=granted)
    scheduler.add(name, program, 0.0)
    return program


def test_programs_that_wait_are_ranked_anew_by_where_others_ended() -> None:
    scheduler = Scheduler(Sjf(), ProgramTable(History(default_tokens=10)))
    ended = waits(scheduler, "ended", cap=20, granted=1)
    scheduler.start("ended", 0.0)
    sure, new = waits(scheduler, "sure", cap=15, granted=15), waits(scheduler, "new", cap=20, granted=1)
    assert [r.program for r in scheduler.order(0.0, 2)] == [sure, new]
    scheduler.finish("ended", 10, 0.0)
    scheduler.progress(ended, 0.0, remaining_knob=0, knob=1, granted=0)
    scheduler.answered(ended)
    scheduler.end(ended, 0.0)
    assert [r.program for r in scheduler.order(0.0, 2)] == [new, sure], "one ended with what a new one was granted"
    assert scheduler.table[new].remaining_tokens == 10


def test_who_is_not_known_or_does_not_tell_teaches_nothing() -> None:
    scheduler = Scheduler(Sjf(), ProgramTable(History(default_tokens=10)))
    scheduler.answered(ProgramId("unknown"))
    scheduler.begin(ProgramId("silent"), 0.0, kind=KIND, remaining_knob=20)
    scheduler.answered(ProgramId("silent"))
    new = waits(scheduler, "new", cap=20, granted=5)
    assert scheduler.table[new].remaining_tokens == 200
