import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.allocation.expected_gain import LITTLE_TO_GAIN, ExpectedGain, State, gain_of_knowing
from dynasor.allocation.hopeless import UNCERTAIN
from dynasor.allocation.progress import Grant, Progress, stop
from dynasor.answers.voting import Votes
from dynasor.errors import UsageError

POLICY = ExpectedGain((3, 5), frozenset({State(3, 3, 0, 1), State(5, 1, 1, 5), State(5, 4, 1, 2)}))


def test_it_grants_up_to_the_next_ask_and_after_the_last_up_to_the_cap() -> None:
    assert POLICY(Progress(0, 20)) == Grant(3)
    assert POLICY(Progress(3, 20, votes=Votes(3, 2, 1, 2))) == Grant(2)
    assert POLICY(Progress(5, 20, votes=Votes(5, 3, 2, 2))) == Grant(15)


def test_it_stops_in_the_states_that_it_has_learned_and_says_why() -> None:
    assert POLICY(Progress(3, 20, votes=Votes(3, 3, 0, 1))) == stop(LITTLE_TO_GAIN)
    assert POLICY(Progress(5, 20, votes=Votes(5, 4, 1, 2))) == stop(LITTLE_TO_GAIN)
    assert POLICY(Progress(5, 20, votes=Votes(5, 1, 1, 5))) == stop(UNCERTAIN)


def test_it_judges_nowhere_but_where_it_learned() -> None:
    assert POLICY(Progress(4, 20, votes=Votes(3, 3, 0, 1))) == Grant(1), "one branch has failed: no such state was met"
    assert ExpectedGain((5,), frozenset({State(3, 3, 0, 1)}))(Progress(3, 20, votes=Votes(3, 3, 0, 1))) == Grant(2)


def test_its_table_is_text_that_gives_it_back() -> None:
    assert POLICY.table() == {"3": "3-0-1", "5": "4-1-2 1-1-5"}
    assert ExpectedGain.from_table(POLICY.table()) == POLICY
    empty = ExpectedGain((), frozenset())
    assert ExpectedGain.from_table(empty.table()) == empty
    assert empty(Progress(0, 20)) == Grant(20)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"3": "3-0"}, "'3-0' is no state of a vote; write leader-runner up-groups, such as 4-1-2"),
        ({"3": "3-0-x"}, "'x' in a table of states is not a whole number"),
        ({"three": ""}, "'three' in a table of states is not a whole number"),
        ({"0": ""}, "asks are [0]; they must be ascending numbers of branches of at least 1"),
    ],
)
def test_a_table_that_is_none_is_refused(table: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        ExpectedGain.from_table(table)


@pytest.mark.parametrize(
    ("votes", "gain"),
    [
        (Votes(), 1 / 4),  # E[max(b, 1 - b)] - E[b] = 3/4 - 1/2 for a uniform b
        (Votes(1, 1, 0, 1), 1 / 12),  # the integral of (1 - 2b) 2b from 0 to 1/2, and 3 of 3 votes
        (Votes(2, 1, 1, 2), 3 / 16),  # the integral of (1 - 2b) 6b(1 - b)
        (Votes(20, 1, 1, 20), 4 / 40 * 3 / 16),  # the same, for a tenth of all answers
    ],
)
def test_the_gain_of_knowing_is_that_of_the_posterior(votes: Votes, gain: float) -> None:
    assert gain_of_knowing(votes) == pytest.approx(gain)


@given(st.integers(0, 60), st.integers(0, 60))
def test_one_vote_more_for_the_leader_leaves_less_to_gain(ahead: int, runner_up: int) -> None:
    leader = runner_up + ahead
    before = gain_of_knowing(Votes(leader + runner_up, leader, runner_up, 2))
    after = gain_of_knowing(Votes(leader + runner_up + 1, leader + 1, runner_up, 2))
    assert 0 <= after <= before + 1e-12 <= 0.25 + 1e-12
