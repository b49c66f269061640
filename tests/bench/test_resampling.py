"""The paired bootstrap: known cases, and how often its intervals cover the truth in simulations."""

from collections.abc import Sequence
from math import isnan
from random import Random
from statistics import fmean

import pytest

from dynasor.bench.resampling import resampled_ratios
from dynasor.metrics.intervals import Estimate, RunningSaving


def test_it_gives_the_ratio_of_everyone_and_the_same_bounds_each_time() -> None:
    random = Random(3)
    values = [random.random() for _ in range(40)]
    once, again = mean(values, seed=7), mean(values, seed=7)
    assert once == again
    assert once.value == pytest.approx(fmean(values))
    assert mean(values, seed=8).low != once.low


def test_what_never_varies_has_no_width() -> None:
    assert mean([10.0] * 10) == Estimate(10, 10, 10)


def test_all_ratios_are_of_the_same_draws() -> None:
    random = Random(9)
    first, ones = [random.random() for _ in range(30)], [1.0] * 30
    second = [2 * value for value in first]
    found = resampled_ratios({"a": (first, ones), "b": (second, ones), "c": (second, first)})
    assert found["b"].low == pytest.approx(2 * found["a"].low)
    assert found["c"] == Estimate(2, 2, 2)


def test_one_problem_has_no_bounds_and_no_denominator_no_value() -> None:
    alone = mean([3.0])
    assert (alone.value, isnan(alone.low), isnan(alone.high)) == (3.0, True, True)
    assert isnan(resampled_ratios({"a": ([1.0, 2.0], [0.0, 0.0])})["a"].value)


@pytest.mark.slow
def test_it_agrees_with_the_delta_method_on_a_saving() -> None:
    random = Random(4)
    reference = [random.lognormvariate(6, 0.7) for _ in range(400)]
    spent = [tokens * random.uniform(0.1, 0.9) for tokens in reference]
    running = RunningSaving()
    for pair in zip(spent, reference, strict=True):
        running.add(*pair)
    delta = running.estimate()
    drawn = resampled_ratios({"left": (spent, reference)}, draws=2000)["left"]
    assert 1 - drawn.value == pytest.approx(delta.value)
    assert drawn.high - drawn.low == pytest.approx(delta.high - delta.low, rel=0.08)
    assert 1 - drawn.high == pytest.approx(delta.low, abs=0.1 * (delta.high - delta.low))


@pytest.mark.slow
def test_it_covers_the_truth_nineteen_times_in_twenty() -> None:
    random = Random(5)
    trials = []
    for _ in range(250):
        values = [random.gauss(10, 3) for _ in range(40)]
        trials.append(mean(values, draws=200, seed=random.randrange(1 << 30)))
    assert 0.88 < fmean(trial.low <= 10 <= trial.high for trial in trials) < 0.985


def mean(values: Sequence[float], draws: int = 1000, seed: int = 0) -> Estimate:
    return resampled_ratios({"mean": (values, [1.0] * len(values))}, draws=draws, seed=seed)["mean"]
