from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.engines.logprobs import WINDOW, LogprobMeans


def means_of(values: list[float], window: int = WINDOW) -> LogprobMeans:
    means = LogprobMeans(window)
    for value in values:
        means.add(value)
    return means


def exact_mean(values: list[float]) -> float:
    return float(sum(map(Fraction, values)) / len(values))


@given(st.lists(st.floats(-30, 0), min_size=1, max_size=60), st.integers(1, 9))
def test_the_three_means_are_those_of_their_definitions(values: list[float], window: int) -> None:
    means = means_of(values, window)
    groups = [values[start : start + window] for start in range(max(1, len(values) - window + 1))]
    assert means.count == len(values)
    assert means.mean == pytest.approx(exact_mean(values), abs=1e-11)
    assert means.tail == pytest.approx(exact_mean(values[-window:]), abs=1e-11)
    assert means.lowest == pytest.approx(min(map(exact_mean, groups)), abs=1e-11)


def test_a_worked_example() -> None:
    means = means_of([-1.0, -4.0, -2.0, 0.0, -1.0], window=2)
    assert (means.mean, means.tail, means.lowest) == (-1.6, -0.5, -3.0)


def test_before_the_first_token_there_is_no_mean() -> None:
    means = means_of([])
    assert (means.mean, means.tail, means.lowest) == (None, None, None)


def test_where_tokens_are_fewer_than_a_window_all_are_the_group() -> None:
    means = means_of([-1.0, -2.0, -6.0])
    assert (means.mean, means.tail, means.lowest) == (-3.0, -3.0, -3.0)


def test_a_long_trace_does_not_drift() -> None:
    """A running sum of floats would keep what the huge value rounded away."""
    means = means_of([-1e9, *[-0.1] * 5000])
    assert means.tail == pytest.approx(-0.1, abs=1e-12)
    assert means.lowest == pytest.approx((-1e9 - 6.3) / 64)


@pytest.mark.parametrize("value", [float("-inf"), float("nan")])
def test_what_is_not_finite_is_left_out(value: float) -> None:
    means = means_of([-1.0, value, -2.0])
    assert (means.count, means.mean) == (2, -1.5)


def test_the_least_number_of_a_server_is_a_number() -> None:
    assert means_of([-3.4028234663852886e38]).lowest == pytest.approx(-3.4028234663852886e38)
