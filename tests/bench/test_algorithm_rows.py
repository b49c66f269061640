"""Rows against self-consistency at as many tokens, on points whose figures are known."""

from random import Random

import pytest

from dynasor.bench.algorithm_points import Point, Solved
from dynasor.bench.algorithm_rows import algorithm_rows, at_tokens
from dynasor.metrics.intervals import Estimate

CURVE = [(100.0, 0.4), (200.0, 0.6), (400.0, 0.8)]


@pytest.mark.parametrize(
    ("tokens", "accuracy"),
    [(100, 0.4), (150, 0.5), (200, 0.6), (300, 0.7), (400, 0.8), (99, None), (401, None)],
)
def test_a_curve_is_straight_between_its_caps(tokens: float, accuracy: float | None) -> None:
    found = at_tokens(CURVE[::-1], tokens)
    assert found == (None if accuracy is None else pytest.approx(accuracy))


def point(curve: str, cap: int, tokens: float, right: int, count: int = 100, *, shift: int = 0) -> Point:
    """The first `right` problems, after `shift`, are right; all take as many tokens."""
    correct = [float(shift <= place < shift + right) for place in range(count)]
    solved = {f"p{place:03}": Solved(c, tokens, 0.5, cap, 1.0 if cap == 9 else None) for place, c in enumerate(correct)}
    return Point(curve, "arm", cap, solved)


SC = [point("sc", 5, 100, 40), point("sc", 10, 200, 60)]


def test_a_difference_is_paired_problem_by_problem() -> None:
    same = algorithm_rows("e", [*SC, point("same", 9, 200, 60)])[-1]
    assert same.gained == Estimate(0.0, 0.0, 0.0)
    other = algorithm_rows("e", [*SC, point("other", 9, 200, 60, shift=40)])[-1]
    assert other.gained is not None
    assert other.gained.low < 0.0 == other.gained.value < other.gained.high


def test_between_two_caps() -> None:
    row = algorithm_rows("e", [*SC, point("x", 9, 150, 65)])[-1]
    assert row.gained is not None
    assert row.gained.value == pytest.approx(0.15)
    assert 0.05 < row.gained.low < 0.15 < row.gained.high < 0.25
    assert (row.problems, row.knob, row.certaindex, row.latency_s) == (100, 9.0, 0.5, 1.0)
    assert row.accuracy.low < row.accuracy.value == 0.65 < row.accuracy.high


@pytest.mark.parametrize("tokens", [99, 201])
def test_beyond_the_curve_there_is_nothing_to_compare_with(tokens: float) -> None:
    assert algorithm_rows("e", [*SC, point("x", 9, tokens, 65)])[-1].gained is None


def test_self_consistency_is_not_compared_with_itself_and_a_part_has_no_latency() -> None:
    row = algorithm_rows("e", SC)[0]
    assert (row.gained, row.latency_s) == (None, None)


def test_tokens_have_an_interval_over_problems() -> None:
    random = Random(0)
    solved = {f"p{place}": Solved(1.0, random.gauss(100, 20), 0.5, 5) for place in range(400)}
    (row,) = algorithm_rows("e", [Point("x", "arm", 5, solved)])
    assert row.tokens.high - row.tokens.low == pytest.approx(2 * 1.96 * 20 / 400**0.5, rel=0.15)


def test_one_problem_has_no_draws() -> None:
    (row,) = algorithm_rows("e", [point("sc", 5, 100, 1, count=1)])
    assert row.tokens == Estimate(100.0, 100.0, 100.0)
