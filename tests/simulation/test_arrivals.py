from collections.abc import Iterator
from itertools import islice, pairwise
from statistics import fmean, pvariance

import pytest

from dynasor.errors import UsageError
from dynasor.simulation.arrivals import bursty, poisson, replayed

COUNT, RATE = 20_000, 4.0


def gaps(arrivals: Iterator[float]) -> list[float]:
    instants = [0.0, *islice(arrivals, COUNT)]
    return [after - before for before, after in pairwise(instants)]


def counts(arrivals: Iterator[float], width_s: float) -> list[int]:
    """Arrivals in each of the windows of some seconds."""
    instants = list(islice(arrivals, COUNT))
    found = [0] * int(instants[-1] // width_s)
    for instant in instants:
        if instant // width_s < len(found):
            found[int(instant // width_s)] += 1
    return found


def test_poisson_is_poisson() -> None:
    found = gaps(poisson(RATE, seed=1))
    assert fmean(found) == pytest.approx(1 / RATE, rel=0.03)
    assert pvariance(found) == pytest.approx(1 / RATE**2, rel=0.06)
    assert max(found) > 7 / RATE, "the longest gaps are not capped"
    in_windows = counts(poisson(RATE, seed=1), 5.0)
    assert fmean(in_windows) == pytest.approx(20, rel=0.03)
    assert pvariance(in_windows) == pytest.approx(20, rel=0.15), "as large as the mean"


@pytest.mark.parametrize("variation", [0.5, 1.0, 3.0])
def test_bursts_are_gamma(variation: float) -> None:
    found = gaps(bursty(RATE, variation, seed=1))
    assert fmean(found) == pytest.approx(1 / RATE, rel=0.03 * max(1, variation))
    assert pvariance(found) == pytest.approx((variation / RATE) ** 2, rel=0.15)
    skewness = fmean([(gap * RATE - 1) ** 3 for gap in found]) / variation**3
    assert skewness == pytest.approx(2 * variation, rel=0.25), "a gamma distribution's is twice its variation"


def test_the_seed_tells_all() -> None:
    for arrivals in (poisson, lambda rate, seed: bursty(rate, 2.0, seed)):
        assert list(islice(arrivals(RATE, 7), 50)) == list(islice(arrivals(RATE, 7), 50))
        assert list(islice(arrivals(RATE, 7), 50)) != list(islice(arrivals(RATE, 8), 50))


def test_recorded_arrivals_begin_with_the_first() -> None:
    assert list(replayed([100.0, 101.0, 101.0, 105.0])) == [0.0, 1.0, 1.0, 5.0]
    assert list(replayed([100.0, 102.0], speed=4.0)) == [0.0, 0.5]
    assert list(replayed([])) == []


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(UsageError, match="rate is 0; it must be above 0"):
        next(poisson(0, 1))
    with pytest.raises(UsageError, match="variation is -1"):
        next(bursty(1, -1, 1))
    with pytest.raises(UsageError, match="follows one at 3 s; sort them"):
        list(replayed([3, 2]))
