"""Paired bootstrap intervals of many ratios at once. Knows columns of numbers with one entry a problem.

All ratios are taken of the same draws, and each column is summed once a draw: so the figures of eight runs over two
thousand problems take about two seconds.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from math import nan
from operator import itemgetter
from random import Random
from typing import TypeVar

from dynasor.metrics.intervals import Estimate

DRAWS = 1000

Key = TypeVar("Key", bound=Hashable)
Ratio = tuple[Sequence[float], Sequence[float]]


def resampled_ratios(ratios: Mapping[Key, Ratio], *, draws: int = DRAWS, seed: int = 0) -> dict[Key, Estimate]:
    """The sum of one column over that of another, for each pair, with the percentile interval over draws of problems.

    All columns have one entry a problem, in the same order. There are no bounds below two problems, and no value
    where the denominator is zero; draws in which it is are left out.
    """
    columns = list({id(column): column for ratio in ratios.values() for column in ratio}.values())
    sums = dict(zip(map(id, columns), _resampled_sums(columns, draws, Random(seed)), strict=True))
    return {
        key: _estimate(sum(over), sum(under), sums[id(over)], sums[id(under)]) for key, (over, under) in ratios.items()
    }


def _resampled_sums(columns: Sequence[Sequence[float]], draws: int, random: Random) -> list[list[float]]:
    """For each column its sums over the same draws of as many problems as there are; none below two problems."""
    sums: list[list[float]] = [[] for _ in columns]
    everyone = range(len(columns[0])) if columns else range(0)
    if len(everyone) < 2:
        return sums
    for _ in range(draws):
        chosen = itemgetter(*random.choices(everyone, k=len(everyone)))
        for column, into in zip(columns, sums, strict=True):
            into.append(sum(chosen(column)))
    return sums


def _estimate(over: float, under: float, overs: Iterable[float], unders: Iterable[float]) -> Estimate:
    value = over / under if under else nan
    drawn = sorted(o / u for o, u in zip(overs, unders, strict=True) if u)
    if not drawn:
        return Estimate(value, nan, nan)
    return Estimate(value, drawn[int(0.025 * len(drawn))], drawn[max(0, int(0.975 * len(drawn)) - 1)])
