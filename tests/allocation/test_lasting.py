"""Stopping by the odds that the leader still leads at the cap."""

from itertools import product
from math import isclose, prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.allocation.baselines import Beta
from dynasor.allocation.lasting import Lasting, branches_missing, lasts
from dynasor.allocation.progress import Grant, Progress
from dynasor.answers.voting import Votes
from dynasor.errors import UsageError


def played_out(leader: int, runner_up: int, others: int, remaining: int) -> float:
    """The same by every way in which the remaining votes can fall, one after the other."""
    total = 0.0
    for votes in product(range(3), repeat=remaining):
        counts, odds = [leader, runner_up, others], []
        for vote in votes:
            odds.append((counts[vote] + 1) / (sum(counts) + 3))
            counts[vote] += 1
        total += prod(odds) * (counts[0] >= counts[1])
    return total


@pytest.mark.parametrize(
    ("leader", "runner_up", "others", "remaining"),
    [(1, 0, 0, 1), (1, 0, 0, 6), (2, 1, 0, 5), (1, 1, 3, 6), (4, 1, 2, 7), (3, 3, 0, 4), (5, 0, 1, 4), (2, 2, 9, 6)],
)
def test_the_odds_are_those_of_all_ways_in_which_votes_can_fall(
    leader: int, runner_up: int, others: int, remaining: int
) -> None:
    known = played_out(leader, runner_up, others, remaining)
    assert isclose(lasts(leader, runner_up, others, remaining), known, rel_tol=1e-12)


def test_a_worked_example() -> None:
    """2 to 1 with one branch left: only the tie is to be feared, and that is no loss. With two, both may go over."""
    assert lasts(2, 1, 0, 1) == 1.0
    assert isclose(lasts(2, 1, 0, 2), 1 - (2 / 6) * (3 / 7))


COUNTS = st.tuples(*[st.integers(0, 40)] * 3, st.integers(0, 60))


@given(COUNTS)
def test_odds_are_odds_and_grow_with_the_lead(counts: tuple[int, int, int, int]) -> None:
    lead, runner_up, others, remaining = counts
    leader = runner_up + lead
    now = lasts(leader, runner_up, others, remaining)
    assert -1e-9 <= now <= 1.0
    assert lasts(leader + 1, runner_up, others, remaining) >= now - 1e-9
    assert lead < remaining or isclose(now, 1.0), "nobody can catch up any more"


@given(COUNTS, st.sampled_from([0.8, 0.95, 0.99]))
def test_it_is_granted_what_one_by_one_would_take(counts: tuple[int, int, int, int], confidence: float) -> None:
    lead, runner_up, others, remaining = counts
    leader = 1 + runner_up + lead
    one_by_one = next(
        more
        for more in range(remaining + 1)
        if more == remaining or lasts(leader + more, runner_up, others, remaining - more) >= confidence
    )
    assert branches_missing(leader, runner_up, others, remaining, confidence) == one_by_one


def test_it_stops_near_the_cap_where_an_endless_run_would_be_open() -> None:
    near = Progress(knob=17, cap=20, votes=Votes(cast=17, leader=6, runner_up=4, groups=9))
    assert Beta(0.95)(near)
    assert Lasting(0.95)(near) == Grant(0, "leader will last")
    assert Lasting(0.95)(Progress(knob=17, cap=60, votes=near.votes))


def test_nothing_is_stopped_before_there_is_an_answer() -> None:
    assert Lasting()(Progress(0, 20)) == Grant(1)
    assert Lasting()(Progress(19, 20, votes=Votes(cast=19, groups=1))) == Grant(1)


def test_a_confidence_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match=r"confidence is 1\.0; it must be between 0\.5 and 0\.999999"):
        Lasting(1.0)
