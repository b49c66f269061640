"""Intervals hold what they claim: known values, and how often they cover the truth in simulations."""

from collections.abc import Sequence
from math import isnan
from random import Random
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.metrics.intervals import Z95, Estimate, RunningMean, RunningSaving, wilson

numbers = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    [  # the bounds of Wilson's score interval as tabulated
        (0, 10, 0.0, 0.277533),
        (1, 10, 0.017876, 0.404150),
        (5, 10, 0.236593, 0.763407),
        (10, 10, 0.722467, 1.0),
        (81, 263, 0.255297, 0.366176),  # Newcombe (1998), table I: 0.2553, 0.3662
        (15, 148, 0.062386, 0.160531),  # 0.0624, 0.1605
        (0, 20, 0.0, 0.161125),  # 0.0000, 0.1611
        (1, 29, 0.006113, 0.171755),  # 0.0061, 0.1718
    ],
)
def test_wilson_gives_the_known_bounds(successes: int, count: int, low: float, high: float) -> None:
    estimate = wilson(successes, count)
    assert estimate.value == successes / count
    assert estimate.low == pytest.approx(low, abs=1e-4)
    assert estimate.high == pytest.approx(high, abs=1e-4)


def test_wilson_of_nothing_is_no_number() -> None:
    assert all(isnan(figure) for figure in (wilson(0, 0).value, wilson(0, 0).low, wilson(0, 0).high))


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.floats(0, n), st.just(n))))
def test_wilson_stays_within_a_share_and_around_its_value(case: tuple[float, int]) -> None:
    estimate = wilson(*case)
    assert 0.0 <= estimate.low <= estimate.value + 1e-9
    assert estimate.value - 1e-9 <= estimate.high <= 1.0


@given(st.integers(0, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_treats_failures_as_it_treats_successes(case: tuple[int, int]) -> None:
    successes, count = case
    if count:
        there, back = wilson(successes, count), wilson(count - successes, count)
        assert (there.low, there.high) == pytest.approx((1 - back.high, 1 - back.low))


@pytest.mark.parametrize(("share", "count"), [(0.5, 50), (0.9, 50), (0.97, 200)])
def test_wilson_covers_the_truth_nineteen_times_in_twenty(share: float, count: int) -> None:
    random = Random(f"{share} {count}")
    trials = [wilson(sum(random.random() < share for _ in range(count)), count) for _ in range(1500)]
    assert 0.93 < covered(trials, share) < 0.98


@given(st.lists(numbers, min_size=2, max_size=50))
def test_a_running_mean_is_the_mean_and_its_normal_interval(values: list[float]) -> None:
    running = RunningMean()
    for value in values:
        running.add(value)
    half = Z95 * stdev(values) / len(values) ** 0.5
    estimate = running.estimate()
    assert estimate.value == pytest.approx(fmean(values), abs=1e-6)
    assert estimate.high - estimate.value == pytest.approx(half, rel=1e-6, abs=1e-6)
    assert estimate.value - estimate.low == pytest.approx(half, rel=1e-6, abs=1e-6)


def test_a_running_mean_keeps_its_digits_far_from_zero() -> None:
    running = RunningMean()
    for value in (1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16):
        running.add(value)
    estimate = running.estimate()
    assert estimate.value == 1e9 + 10
    assert estimate.high - estimate.value == pytest.approx(Z95 * (30 / 4) ** 0.5, rel=1e-6)


def test_one_number_has_a_mean_without_bounds_and_none_has_neither() -> None:
    running = RunningMean()
    assert isnan(running.estimate().value)
    running.add(3.0)
    estimate = running.estimate()
    assert estimate.value == 3.0
    assert isnan(estimate.low)
    assert isnan(estimate.high)


def test_a_running_mean_covers_the_truth_nineteen_times_in_twenty() -> None:
    random = Random(1)
    trials = []
    for _ in range(1000):
        running = RunningMean()
        for _ in range(60):
            running.add(random.expovariate(1 / 300))  # token counts are skewed
        trials.append(running.estimate())
    assert 0.91 < covered(trials, 300) < 0.97


def test_a_saving_is_a_ratio_of_sums_and_not_a_mean_of_ratios() -> None:
    assert saving([(10, 10), (300, 1000)]).value == pytest.approx(1 - 310 / 1010)


def test_equal_shares_save_with_certainty() -> None:
    estimate = saving([(25, 100), (50, 200), (100, 400)])
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((0.75, 0.75, 0.75))


def test_a_saving_needs_a_reference_and_its_bounds_two_problems() -> None:
    assert isnan(saving([]).value)
    assert isnan(saving([(0, 0)]).value)
    alone = saving([(25, 100)])
    assert alone.value == 0.75
    assert isnan(alone.low)


@pytest.mark.slow
def test_a_saving_covers_the_truth_nineteen_times_in_twenty() -> None:
    random = Random(2)
    truth = 0.5  # every problem keeps half of its tokens on average, however many it has
    trials = [saving([problem(random) for _ in range(150)]) for _ in range(1000)]
    assert 0.92 < covered(trials, truth) < 0.975


def covered(trials: Sequence[Estimate], truth: float) -> float:
    return fmean(trial.low <= truth <= trial.high for trial in trials)


def saving(pairs: Sequence[tuple[float, float]]) -> Estimate:
    running = RunningSaving()
    for spent, reference in pairs:
        running.add(spent, reference)
    return running.estimate()


def problem(random: Random) -> tuple[float, float]:
    """Tokens spent and tokens of even allocation: problems of very different size, half of it kept on average."""
    reference = random.lognormvariate(6, 0.7)
    return reference * random.uniform(0.1, 0.9), reference
