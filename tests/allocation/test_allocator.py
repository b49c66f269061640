from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.allocation.allocator import Allocator, InFlight, InRounds
from dynasor.allocation.baselines import Even
from dynasor.allocation.progress import CAP_REACHED, Grant, Progress, stop
from dynasor.allocation.threshold import StaticThreshold, SteppedThreshold
from dynasor.errors import ProgramError


@given(st.integers(0, 50), st.integers(1, 50), st.integers(0, 1000))
def test_no_grant_passes_the_cap(knob: int, cap: int, greed: int) -> None:
    def greedy(progress: Progress) -> Grant:
        return Grant(greed)

    allocators: list[Allocator] = [InRounds(greedy), InFlight(greedy)]
    for allocator in allocators:
        assert allocator.grant(Progress(knob, cap)).knob <= max(0, cap - knob)


def test_at_the_cap_a_program_ends_because_of_the_cap() -> None:
    assert InRounds(Even()).grant(Progress(20, 20)) is CAP_REACHED
    assert InFlight(Even()).grant(Progress(20, 20)) == CAP_REACHED


def test_rounds_wait_for_the_policy() -> None:
    allocator = InRounds(StaticThreshold(0.7, 5))
    assert allocator.grant(Progress(0, 20)) == Grant(5)
    assert not allocator.cut(Progress(5, 20, certaindex=1.0))
    assert allocator.grant(Progress(5, 20, certaindex=1.0)) == Grant(0, "certain")


def test_in_flight_starts_everything_and_asks_where_the_round_would_have_ended() -> None:
    allocator = InFlight(StaticThreshold(0.7, 5))
    assert allocator.grant(Progress(0, 20)) == Grant(20)
    assert not allocator.cut(Progress(4, 20, certaindex=1.0)), "the policy is not asked before its detection step"
    assert not allocator.cut(Progress(5, 20, certaindex=0.5))
    assert not allocator.cut(Progress(6, 20, certaindex=1.0)), "nor after it"


def test_in_flight_cuts_at_the_detection_step_and_then_grants_no_more() -> None:
    allocator = InFlight(SteppedThreshold(0.7, 5, 3))
    allocator.grant(Progress(0, 20))
    assert not allocator.cut(Progress(5, 20, certaindex=0.5))
    assert not allocator.cut(Progress(7, 20, certaindex=0.9))
    assert allocator.cut(Progress(8, 20, certaindex=0.9))
    assert allocator.cut(Progress(9, 20, certaindex=0.1)), "a decision is not taken back"
    assert allocator.grant(Progress(8, 20)) == Grant(0, "certain")


def test_a_policy_that_stops_without_a_reason_is_named_as_the_reason() -> None:
    assert InRounds(lambda progress: Grant(0)).grant(Progress(1, 5)) == stop("policy")


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (Grant(-1), r"policy faulty granted -1; a grant is at least 0, and 0 stops the program"),
        (
            Grant(cast("int", 2.5)),
            r"policy faulty returned Grant\(knob=2.5, reason=''\); a policy returns a Grant of a whole number",
        ),
        (Grant(True), r"policy faulty returned Grant\(knob=True"),
        (None, r"policy faulty returned None; a policy returns a Grant of a whole number"),
        (3, r"policy faulty returned 3; a policy returns"),
    ],
)
def test_what_is_no_grant_is_a_fault_of_the_policy(returned: Any, message: str) -> None:
    def faulty(progress: Progress) -> Grant:
        return cast("Grant", returned)

    faulty.__qualname__ = "faulty"
    for allocator in (InRounds(faulty), InFlight(faulty)):
        with pytest.raises(ProgramError, match=message):
            allocator.grant(Progress(1, 5))
