import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.allocation.expected_gain import ExpectedGain, State
from dynasor.allocation.gain_table import GainTable, expected_gain, written
from dynasor.allocation.progress import Grant, Progress
from dynasor.answers.voting import Votes
from dynasor.config import build, describe
from dynasor.errors import UsageError

TABLE = "3@3-0-1/5@4-1-2 1-1-5"


def test_it_does_what_the_policy_does_that_it_was_written_from() -> None:
    policy = ExpectedGain((3, 5), frozenset({State(3, 3, 0, 1), State(5, 1, 1, 5), State(5, 4, 1, 2)}))
    assert written(policy) == GainTable(TABLE)
    assert expected_gain(TABLE) == policy
    assert GainTable(TABLE)(Progress(3, 20, votes=Votes(3, 3, 0, 1))).reason == "little to gain"
    assert GainTable(TABLE)(Progress(3, 20, votes=Votes(3, 2, 1, 2))) == Grant(2)


def test_a_row_may_hold_no_state() -> None:
    assert GainTable("3@/5@5-0-1")(Progress(3, 20, votes=Votes(3, 3, 0, 1))) == Grant(2)


def test_its_specification_reads_as_it_was_written() -> None:
    text = f"gain:table={TABLE}"
    assert describe("gain", build("policy", text, {"gain": GainTable})) == text


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "'' is no table of states; write branches@states"),
        ("3", "'3' is no table of states"),
        ("3@3-0-1/3@2-1-2", "is no table of states"),
        ("3@" + "3-0-1 " * 20 + "/5", "...' is no table of states"),
        ("3@3-0", "'3-0' is no state of a vote"),
        ("x@3-0-1", "'x' in a table of states is not a whole number"),
    ],
)
def test_a_table_that_is_none_is_refused(table: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        GainTable(table)
    assert len(str(caught.value)) < 160


STATES = st.builds(State, st.sampled_from([3, 4, 6]), st.integers(0, 6), st.integers(0, 3), st.integers(1, 6))


@given(st.frozensets(STATES, max_size=12))
def test_every_policy_survives_being_written(stops: frozenset[State]) -> None:
    policy = ExpectedGain((3, 4, 6), stops)
    assert expected_gain(written(policy).table) == policy
