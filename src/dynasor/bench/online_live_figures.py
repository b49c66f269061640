"""Figures from the rows of the online evaluation on a real engine, with intervals over programs.

What is drawn anew are blocks of programs that came one after another, since these share a queue; the same blocks for
all arms, so that ratios are paired. The seeds of a point are taken together. It knows rows, and no server.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import nan
from random import Random
from statistics import fmean

from dynasor.bench.online_live_rows import LiveRow
from dynasor.metrics.intervals import Estimate

P90 = 0.9
BLOCK = 10
DRAWS = 500

Run = tuple[float, int]
"""A load and a seed: who comes, and when, is the same for all arms."""

Column = Callable[[LiveRow], Sequence[float]]
Figure = Callable[[list[float]], float]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure, and what it is when programs are drawn anew."""

    value: float
    draws: Sequence[float]

    @property
    def estimate(self) -> Estimate:
        """With its 95 % interval by percentiles."""
        found = sorted(draw for draw in self.draws if draw == draw)
        if not found or self.value != self.value:
            return Estimate(self.value, nan, nan)
        return Estimate(self.value, found[int(0.025 * len(found))], found[max(0, int(0.975 * len(found)) - 1)])

    def over(self, other: "Drawn") -> "Drawn":
        """The ratio, draw by draw."""
        draws = [a / b if b else nan for a, b in zip(self.draws, other.draws, strict=True)]
        return Drawn(self.value / other.value if other.value else nan, draws)


class LiveFigures:
    """The rows of a study.

    Attributes:
        seeds: under which anything was measured.
    """

    def __init__(self, rows: Sequence[LiveRow], draws: int = DRAWS) -> None:
        self._rows = {(row.point.arm, row.point.load, row.point.seed): row for row in rows}
        self.seeds = sorted({row.point.seed for row in rows})
        runs = sorted({(row.point.load, row.point.seed): len(row.latency_s) for row in rows}.items())
        self._known: dict[tuple[str, str, float], Drawn] = {}
        self._drawn = [_drawn(dict(runs), Random(f"{draw}/blocks")) for draw in range(draws)]

    def at(self, arm: str, load: float) -> list[LiveRow]:
        """An arm's rows at one load, over seeds; those seeds that were measured."""
        return [row for seed in self.seeds if (row := self._rows.get((arm, load, seed))) is not None]

    def loads(self, arm: str) -> list[float]:
        """At which an arm was measured under every seed."""
        found = sorted({load for name, load, _ in self._rows if name == arm})
        return [load for load in found if len(self.at(arm, load)) == len(self.seeds)]

    def attainment(self, arm: str, load: float) -> Drawn:
        """The share of an arm's programs that were in time, over seeds."""
        return self._figure("attainment", arm, load, lambda row: [each <= 1.0 for each in row.needed], fmean)

    def tightest(self, arm: str, load: float) -> Drawn:
        """The least SLO scale with 90 % in time."""
        return self._figure("scale", arm, load, lambda row: row.needed, lambda needed: quantile(needed, P90))

    def sustained(self, arm: str) -> Drawn:
        """The programs a second with 90 % in time; between the rates that were tried, attainment is a line."""
        loads = self.loads(arm)
        if not loads:
            return Drawn(nan, [nan] * len(self._drawn))
        rates = [fmean(row.point.rate for row in self.at(arm, load)) for load in loads]
        found = [self.attainment(arm, load) for load in loads]
        value = sustained_rate(rates, [each.value for each in found])
        draws = [sustained_rate(rates, [each.draws[n] for each in found]) for n in range(len(self._drawn))]
        return Drawn(value, draws)

    def is_sustained_throughout(self, arm: str) -> bool:
        """Whether 90 % were in time at every rate that was tried, so that more may be sustained."""
        loads = self.loads(arm)
        return bool(loads) and all(self.attainment(arm, load).value >= P90 for load in loads)

    def mean(self, arm: str, load: float, figure: Callable[[LiveRow], float]) -> float:
        """Of a figure of a row, over seeds; not a number where there are no rows."""
        rows = self.at(arm, load)
        return fmean(map(figure, rows)) if rows else nan

    def pooled(self, arm: str, load: float, column: Column) -> list[float]:
        """A column over all programs of all seeds."""
        return [value for row in self.at(arm, load) for value in column(row)]

    def _figure(self, name: str, arm: str, load: float, column: Column, figure: Figure) -> Drawn:
        """Computed once: it takes a moment."""
        if (name, arm, load) not in self._known:
            columns = {(load, row.point.seed): column(row) for row in self.at(arm, load)}
            self._known[name, arm, load] = self._computed(columns, figure)
        return self._known[name, arm, load]

    def _computed(self, columns: Mapping[Run, Sequence[float]], figure: Figure) -> Drawn:
        if not columns:
            return Drawn(nan, [nan] * len(self._drawn))
        value = figure([each for column in columns.values() for each in column])
        return Drawn(
            value,
            [
                figure([column[place] for run, column in columns.items() for place in drawn[run]])
                for drawn in self._drawn
            ],
        )


def sustained_rate(rates: Sequence[float], attainments: Sequence[float]) -> float:
    """Where a line through points falls below 90 %, going up from all in time at no rate; else the greatest rate."""
    points = [(0.0, 1.0), *zip(rates, attainments, strict=True)]
    for (x, y), (next_x, next_y) in pairwise(points):
        if y >= P90 > next_y:
            return x + (P90 - y) / (next_y - y) * (next_x - x)
    return points[-1][0]


def quantile(values: Sequence[float], share: float) -> float:
    """The least value that so large a share of the values does not exceed; not a number where there are none."""
    ranked = sorted(values)
    return ranked[max(0, -int(-share * len(ranked) // 1) - 1)] if ranked else nan


def _drawn(runs: dict[Run, int], random: Random) -> dict[Run, list[int]]:
    """The programs of every run, drawn in blocks with replacement; as many as there are, but for a broken block."""
    found = {}
    for run, count in runs.items():
        size = min(BLOCK, count)
        starts = [random.randrange(count - size + 1) for _ in range(-(-count // size))]
        found[run] = [start + place for start in starts for place in range(size)]
    return found
