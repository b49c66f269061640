"""Grants under deadlines, with a clock that the test sets."""

import pytest

from dynasor.allocation.allocator import InFlight, InRounds
from dynasor.allocation.baselines import Even
from dynasor.allocation.overload import DEADLINE, MARGIN, Due, Overload
from dynasor.allocation.progress import Grant, Progress, stop
from dynasor.allocation.threshold import StaticThreshold
from dynasor.answers.voting import Votes
from dynasor.errors import UsageError
from dynasor.request import ProgramId

A, B, C = (ProgramId(name) for name in "abc")


def votes(leader: int, runner_up: int) -> Votes:
    return Votes(cast=leader + runner_up, leader=leader, runner_up=runner_up, groups=2 if runner_up else 1)


def progress(leader: int = 0, runner_up: int = 0, cap: int = 20, branch_tokens: int = 100) -> Progress:
    """So many branches have landed, for two answers."""
    knob = leader + runner_up
    return Progress(knob, cap, 0.0, knob * branch_tokens, votes(leader, runner_up))


def paced(tokens_per_s: float = 100.0 * MARGIN, request_tokens_per_s: float = 1000.0) -> Overload:
    overload = Overload()
    overload.pace(tokens_per_s, request_tokens_per_s)
    return overload


def due(overload: Overload, program: ProgramId, within_s: float) -> Due:
    return overload.due(program, within_s, InRounds(Even()))


def test_with_time_enough_everything_is_granted() -> None:
    a = due(paced(), A, 100.0)
    assert a.grant(progress()) == Grant(20)
    assert a.grant(progress(3, 2)) == Grant(15)


def test_while_nobody_knows_the_pace_nothing_is_shrunk() -> None:
    overload = Overload()
    assert due(overload, A, 0.001).grant(progress(3, 2)) == Grant(15)


def test_what_would_be_late_is_granted_as_far_as_it_is_not() -> None:
    overload = paced()
    a = due(overload, A, 10.0)
    a.grant(progress())
    overload.now = 3.0
    assert a.grant(progress(3, 2)) == Grant(7), "7 s are left, at a branch a second"
    overload.now = 9.5
    assert a.grant(progress(3, 2)) == stop(DEADLINE)


def test_the_first_branch_is_granted_whatever_the_time() -> None:
    overload = paced(tokens_per_s=1.0)
    overload.grant(A, 1.0, Grant(5), progress(3, 2))
    assert due(overload, B, 1.0).grant(progress()) == Grant(1), "an answer is better than none"


def test_a_branch_that_takes_longer_than_is_left_is_not_begun() -> None:
    overload = paced(tokens_per_s=1e6, request_tokens_per_s=10.0 * MARGIN)
    a = due(overload, A, 12.0)
    overload.grant(A, 12.0, Grant(20), progress())
    overload.now = 1.9
    assert a.grant(progress(3, 2)) == Grant(15)
    overload.now = 2.1
    assert a.grant(progress(3, 2)) == stop(DEADLINE), "it takes 10 s, and 9.9 are left"


def test_what_was_granted_to_those_that_are_due_before_is_served_first() -> None:
    overload = paced()
    first, second, third = due(overload, A, 10.0), due(overload, B, 20.0), due(overload, C, 19.0)
    assert first.grant(progress(3, 2, cap=9)) == Grant(4)
    assert second.grant(progress(3, 2, cap=100)) == Grant(16)
    assert third.grant(progress(3, 2, cap=100)) == Grant(15), "that of the second is due later"


def test_the_least_useful_branch_is_given_up_first() -> None:
    """Under overload a vote of 3-2 is granted what a vote of 9-1 is not: a token there is worth more."""
    granted = {}
    for name, leader, runner_up in (("settled", 9, 1), ("open", 3, 2)):
        overload = paced()
        other = votes(3, 2) if name == "settled" else votes(9, 1)
        rival = Progress(other.cast, 1000, 0.0, 100 * other.cast, other)
        overload.grant(B, 11.0, Grant(1), rival)
        granted[name] = overload.grant(A, 10.0, Grant(20), progress(leader, runner_up, cap=60)).knob
    assert granted["open"] == 10, "all that is served in time"
    assert granted["settled"] == 8, "but for the two that the open vote needs"


def test_who_has_left_is_not_waited_for() -> None:
    overload = paced()
    due(overload, A, 5.0).grant(progress(3, 2))
    b = due(overload, B, 10.0)
    assert b.grant(progress(3, 2)) == Grant(5)
    overload.leave(A)
    overload.leave(A)
    assert b.grant(progress(3, 2)) == Grant(10)


def test_a_policy_that_stops_is_not_overruled_and_its_reason_is_kept() -> None:
    overload = paced()
    sure = overload.due(A, 5.0, InRounds(StaticThreshold(0.5, 5)))
    assert sure.grant(Progress(5, 20, 1.0, 500, votes(5, 0))) == stop("certain")


def test_in_flight_everything_that_is_in_time_is_started_and_cut_as_ever() -> None:
    overload = paced()
    a = overload.due(A, 10.0, InFlight(StaticThreshold(0.5, 5)))
    assert a.watches
    overload.grant(B, 1.0, Grant(1), progress(3, 2))  # branches take 100 tokens
    overload.leave(B)
    assert a.grant(progress()) == Grant(10)
    assert a.cut(Progress(5, 20, 1.0, 500, votes(5, 0)))


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_deadline_in_the_past_is_refused(seconds: float) -> None:
    with pytest.raises(UsageError, match=f"the deadline is {seconds:g} s; it must be above 0"):
        due(paced(), A, seconds)
