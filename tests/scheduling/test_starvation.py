from hypothesis import given, settings
from hypothesis import strategies as st

from dynasor.request import ProgramId
from dynasor.scheduling.aging import Aging
from dynasor.scheduling.ordering import Ordering
from dynasor.scheduling.scheduler import Scheduler
from dynasor.scheduling.sjf import Sjf

LONG = ProgramId("long")


def started_before_the_long_one(ordering: Ordering, shorts: list[int], knob: int, aged_at: float) -> tuple[int, int]:
    """One slot, a request of a second at a time, and short programs that come faster than they are served.

    Returns how many requests waited when the long one had aged, and how many of the others were started from then on.
    """
    scheduler = Scheduler(ordering)
    scheduler.begin(LONG, 0.0, remaining_knob=knob)
    scheduler.add("long", LONG, 0.0)
    waited = overtook = 0
    for second, count in enumerate(shorts):
        if second < aged_at + 1:
            waited = scheduler.waiting_count - 1
        for index in range(count):
            scheduler.add((second, index), ProgramId(f"{second}.{index}"), float(second))
        request = scheduler.next(float(second))
        assert request is not None
        if request.id == "long":
            return waited, overtook
        overtook += second >= aged_at
        scheduler.finish(request.id, 256, float(second))
    return waited, overtook


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 3), min_size=150, max_size=150), st.integers(2, 8), st.floats(1.0, 4.0))
def test_nobody_starves_while_short_programs_never_cease(shorts: list[int], knob: int, patience: float) -> None:
    aged_at = patience * knob * 256 / 256.0
    ordering = Aging(Sjf(), patience, tokens_per_s=256.0)
    waited, overtook = started_before_the_long_one(ordering, shorts, knob, aged_at)
    assert overtook <= waited, "the bound that Aging states"


def test_without_aging_the_long_program_starves() -> None:
    waited, overtook = started_before_the_long_one(Sjf(), [2] * 150, knob=4, aged_at=8.0)
    assert (waited, overtook) == (8, 142)


def test_a_gang_that_has_aged_goes_as_a_whole() -> None:
    scheduler = Scheduler(Aging(Sjf(), patience=1.0, tokens_per_s=256.0))
    scheduler.begin(LONG, 0.0, remaining_knob=3)
    for branch in range(3):
        scheduler.add(branch, LONG, 0.0)
    order = []
    for second in range(6):
        scheduler.add(f"short{second}", ProgramId(f"short{second}"), float(second))
        request = scheduler.next(float(second))
        assert request is not None
        order.append(request.id)
    assert order == ["short0", "short1", "short2", 0, 1, 2]
