from dataclasses import dataclass, field

import pytest
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
    assert overtook <= waited, "the bound that Aging states: each of these programs makes one request"


@dataclass
class Rounds:
    """Programs of so many rounds of one request, one after another, at one slot; a request takes a second."""

    ordering: Ordering
    rounds: list[int]  # of the program that comes at each second; 0 for none
    started: list[tuple[float, int]] = field(default_factory=list)  # when, and the request of which program

    def play(self) -> "Rounds":
        """Start requests for as long as any waits."""
        self.scheduler = Scheduler(self.ordering)
        left: dict[int, int] = {}
        second = 0
        while second < len(self.rounds) or left:
            if second < len(self.rounds) and self.rounds[second]:
                left[second] = self.rounds[second]
                self.scheduler.begin(program_of(second), float(second), remaining_knob=left[second], knob=0)
                self.scheduler.add((second, 0), program_of(second), float(second))
            if left:
                self.run_one(left, float(second))
            second += 1
        return self

    def run_one(self, left: dict[int, int], now: float) -> None:
        """Start the next request; it ends within the second, and the next round of its program comes."""
        request = self.scheduler.next(now)
        assert request is not None, "nobody is lost"
        came = int(request.program)
        self.started.append((now, came))
        done = self.rounds[came] - left[came] + 1
        left[came] -= 1
        self.scheduler.finish(request.id, 256, now + 0.5)
        self.scheduler.progress(request.program, now + 0.5, remaining_knob=left[came], knob=done)
        if left[came]:
            self.scheduler.add((came, done), request.program, now + 0.5)
        else:
            del left[came]
            self.scheduler.end(request.program, now + 0.5)


def program_of(second: int) -> ProgramId:
    return ProgramId(str(second))


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=20, max_size=60), st.floats(0.5, 4.0))
def test_programs_that_have_aged_go_in_that_order_through_all_their_rounds(rounds: list[int], patience: float) -> None:
    played = Rounds(Aging(Sjf(), patience, tokens_per_s=256.0), rounds).play()
    assert len(played.started) == sum(rounds), "nobody is started twice"
    aged_at = {came: came + patience * count for came, count in enumerate(rounds) if count}
    left = {came: rounds[came] for came in aged_at}
    for now, started in played.started:
        aged = [came for came in aged_at if left[came] and came <= now and aged_at[came] <= now]
        if aged:
            assert started == min(aged, key=lambda came: (aged_at[came], came)), "exact among those that have aged"
        left[started] -= 1
    for came, deadline in aged_at.items():
        ended = max(now for now, started in played.started if started == came)
        later = [now for now, started in played.started if deadline <= now < ended and started > deadline]
        assert not later, "nobody who came after it had aged goes first"


def test_by_request_the_rounds_of_nobodys_estimate_age_each_by_itself() -> None:
    scheduler = Scheduler(Aging(Sjf(), patience=1.0, tokens_per_s=256.0))
    scheduler.add("a0", ProgramId("a"), 0.0)
    scheduler.add("b0", ProgramId("b"), 4.0)
    scheduler.add("a1", ProgramId("a"), 4.5)
    assert [request.id for request in scheduler.order(4.9, 3)] == ["a0", "b0", "a1"]
    scheduler.start("a0", 4.9)
    assert [request.id for request in scheduler.order(5.2, 2)] == ["b0", "a1"], "at 5.0, and at 4.5 and twice 1 s"


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
