import pytest

from dynasor.scheduling.estimate import Kind
from dynasor.scheduling.knob_history import KnobHistory

KIND, OTHER = Kind("sc", "easy"), Kind("sc", "hard")


def test_before_anything_is_known_certaindex_tells() -> None:
    history = KnobHistory()
    assert history.expected(KIND, knob=0, granted=5, cap=20, certaindex=0.0) == 20
    assert history.expected(KIND, knob=5, granted=0, cap=20, certaindex=0.8) == pytest.approx(3.0)


def test_what_others_turned_beyond_the_same_grant_is_expected() -> None:
    history = KnobHistory()
    history.observe(KIND, {5}, 5)
    history.observe(KIND, {5, 20}, 20)
    assert history.expected(KIND, knob=0, granted=5, cap=20, certaindex=0.0) == 5 + 15 / 2
    assert history.expected(KIND, knob=3, granted=2, cap=20, certaindex=0.0) == 2 + 15 / 2
    assert history.expected(KIND, knob=5, granted=15, cap=20, certaindex=0.9) == 15
    assert history.expected(OTHER, knob=0, granted=5, cap=20, certaindex=0.0) == 20


def test_a_grant_that_was_not_turned_to_its_end_counts_as_nothing_beyond() -> None:
    history = KnobHistory()
    history.observe(KIND, {20}, 12)
    assert history.expected(KIND, knob=12, granted=8, cap=20, certaindex=0.0) == 8
