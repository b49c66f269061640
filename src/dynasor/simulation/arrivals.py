"""When programs come, in seconds from the start. Each is an endless stream, save the replayed one.

The gaps of `poisson` are exponential, without a cap, and those of `bursty` are gamma distributed; what is drawn follows
from the seed alone.
"""

from collections.abc import Iterable, Iterator
from random import Random

from dynasor.errors import UsageError


def poisson(rate: float, seed: int) -> Iterator[float]:
    """Arrivals that know nothing of each other, `rate` a second on average."""
    _at_least_some("rate", rate)
    rng = Random(f"{seed}/poisson arrivals")
    now = 0.0
    while True:
        now += rng.expovariate(rate)
        yield now


def bursty(rate: float, variation: float, seed: int) -> Iterator[float]:
    """Arrivals in bursts, `rate` a second on average.

    Args:
        rate: arrivals a second.
        variation: standard deviation of the gaps over their mean; 1 is Poisson, more comes in bursts, less is even.
        seed: of the random numbers.
    """
    _at_least_some("rate", rate)
    _at_least_some("variation", variation)
    rng = Random(f"{seed}/bursty arrivals")
    shape = 1 / variation**2
    now = 0.0
    while True:
        now += rng.gammavariate(shape, 1 / (rate * shape))
        yield now


def replayed(instants: Iterable[float], speed: float = 1.0) -> Iterator[float]:
    """Recorded arrivals, from the first one on, `speed` times as fast.

    Raises:
        UsageError: where an arrival comes before the one that precedes it.
    """
    _at_least_some("speed", speed)
    first = last = None
    for instant in instants:
        if first is None or last is None:
            first = last = instant
        if instant < last:
            raise UsageError(f"a recorded arrival at {instant} s follows one at {last} s; sort them")
        last = instant
        yield (instant - first) / speed


def _at_least_some(name: str, value: float) -> None:
    if not value > 0:
        raise UsageError(f"{name} is {value}; it must be above 0")
