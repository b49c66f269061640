import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.allocation.compose import FirstToStop
from dynasor.allocation.curve import Curve
from dynasor.allocation.curve_table import table_rows
from dynasor.allocation.decided import Decided
from dynasor.allocation.progress import Grant, Progress
from dynasor.answers.voting import Votes
from dynasor.config import build, describe
from dynasor.errors import UsageError

TABLE = "1@5/0.6@9/0.3@14"


@pytest.mark.parametrize(
    ("certaindex", "grant"),
    [(1.0, Grant(0, "certain")), (0.99, Grant(4)), (0.6, Grant(4)), (0.3, Grant(9)), (0.29, Grant(15))],
)
def test_the_initial_curve_grants_at_once_what_the_reading_of_the_detection_step_is_given(
    certaindex: float, grant: Grant
) -> None:
    assert Curve(TABLE)(Progress(0, 20)) == Grant(5)
    assert Curve(TABLE)(Progress(3, 20, certaindex)) == Grant(2)
    assert Curve(TABLE)(Progress(5, 20, certaindex)) == grant


def test_where_a_grant_ended_a_lower_reading_is_given_more() -> None:
    assert Curve(TABLE)(Progress(9, 20, 0.6)) == Grant(0, "certain")
    assert Curve(TABLE)(Progress(9, 20, 0.5)) == Grant(5)
    assert Curve(TABLE)(Progress(14, 20, 0.1)) == Grant(6)


def test_the_initial_curve_judges_nowhere_but_at_its_own_knobs() -> None:
    assert Curve(TABLE)(Progress(7, 20, 1.0)) == Grant(2)
    assert Curve(TABLE)(Progress(16, 20, 1.0)) == Grant(4)


def test_the_dynamic_curve_judges_at_every_step() -> None:
    curve = Curve(TABLE, detect_at=5, step=2)
    assert curve(Progress(5, 20, 0.6)) == Grant(2)
    assert curve(Progress(8, 20, 1.0)) == Grant(1), "in between it does not judge"
    assert curve(Progress(9, 20, 0.6)) == Grant(0, "certain")
    assert curve(Progress(9, 20, 0.59)) == Grant(2)
    assert curve(Progress(15, 20, 0.3)) == Grant(0, "certain")


def test_it_goes_with_a_decided_vote() -> None:
    both = FirstToStop((Decided(), Curve(TABLE, step=1)))
    assert both(Progress(8, 12, 0.5, votes=Votes(cast=8, leader=6, runner_up=1))) == Grant(0, "decided")
    assert both(Progress(9, 20, 0.7, votes=Votes(cast=9, leader=6, runner_up=3))) == Grant(0, "certain")


def test_its_specification_reads_as_it_was_written() -> None:
    text = f"curve:table={TABLE},detect_at=4,step=1"
    curve = build("policy", text, {"curve": Curve})
    assert curve == Curve(TABLE, 4, 1)
    assert describe("curve", curve) == text


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "is no curve; write certaindex@knob"),
        ("1@5@6", "is no curve"),
        ("1@five", "is no curve"),
        ("1.1@5", "certaindex is from 0 to 1"),
        ("1@0", "a knob at least 1"),
        ("nan@5", "leaves its range"),
        ("1@6/0.5@5", "gives more to a higher certaindex"),
        ("0.5@5/0.5@6", "two knobs to one"),
    ],
)
def test_a_table_that_is_none_is_refused(table: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Curve(table)


@pytest.mark.parametrize(("detect_at", "step"), [(0, 0), (1, -1)])
def test_settings_that_cannot_be_are_refused(detect_at: int, step: int) -> None:
    with pytest.raises(UsageError, match="it must be at least"):
        Curve(TABLE, detect_at, step)


@given(st.integers(5, 19), st.floats(0, 1), st.floats(0, 1), st.integers(0, 3))
def test_the_surer_of_two_never_gets_more(knob: int, one: float, other: float, step: int) -> None:
    curve = Curve(TABLE, step=step)
    sure, unsure = (curve(Progress(knob, 20, reading)) for reading in (max(one, other), min(one, other)))
    assert sure.knob <= unsure.knob


def test_rows_come_in_any_order() -> None:
    assert table_rows("0.5@9/1@5") == ((1.0, 5), (0.5, 9))
