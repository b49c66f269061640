"""Figures from the rows of the online evaluation: sustained rates, tightest scales, ratios with intervals over seeds.

It knows rows, and no host. A seed is the unit: it has its own problems, arrivals and samples, the same for all arms.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from math import nan
from statistics import fmean

from dynasor.bench.online_rows import OnlineRow
from dynasor.bench.resampling import resampled_ratios
from dynasor.metrics.intervals import Estimate

P90 = 0.9

Figure = Callable[[OnlineRow], float]


class Measured:
    """The rows of one workload."""

    def __init__(self, rows: Iterable[OnlineRow], cap: int) -> None:
        self._rows = list(rows)
        self._cap = cap
        self.seeds = sorted({row.point.seed for row in self._rows})
        self.least_load = min((row.point.load for row in self._rows), default=nan)

    def ladder(self, arm: str, seed: int) -> list[OnlineRow]:
        """An arm's rows by rising rate, with all the memory and at the cap of the study."""
        rows = [row for row in self._plain() if row.point.arm == arm and row.point.seed == seed]
        return sorted(rows, key=lambda row: row.point.load)

    def at(self, arm: str, load: float) -> list[OnlineRow]:
        """An arm's rows at one load, seed by seed; empty where one is missing."""
        rows = {row.point.seed: row for row in self._plain() if (row.point.arm, row.point.load) == (arm, load)}
        return [rows[seed] for seed in self.seeds] if set(rows) == set(self.seeds) else []

    def at_cap(self, arm: str, load: float, cap: int) -> list[OnlineRow]:
        """The same, at another cap."""
        found = (row for row in self._rows if row.point.memory == 1.0 and row.point.hints and row.point.scale == 1.0)
        return [row for row in found if (row.point.arm, row.point.load, row.point.cap) == (arm, load, cap)]

    def best(self, arm: str, load: float) -> tuple[int, float] | None:
        """The cap under which an arm is right most often with 90 % in time, and how often; None where there is none."""
        caps = sorted({row.point.cap for row in self._rows})
        cells = {cap: rows for cap in caps if (rows := self.at_cap(arm, load, cap))}
        in_time = [cap for cap, rows in cells.items() if averaged(rows, lambda row: row.attainment) >= P90]
        found = [(averaged(cells[cap], lambda row: row.accuracy), -cap) for cap in in_time]
        return (-max(found)[1], max(found)[0]) if found else None

    def with_memory(self, arm: str, load: float, memory: float, *, hints: bool = True) -> list[OnlineRow]:
        """The same, with a share of the memory."""
        asked = (arm, load, memory, hints, self._cap, 1.0)
        return [row for row in self._rows if _setting(row) == asked]

    def sustained(self, arm: str) -> list[float]:
        """The programs a second that an arm sustains with 90 % in time, seed by seed; none where it has no ladder."""
        ladders = [self.ladder(arm, seed) for seed in self.seeds]
        return [sustained_rate(ladder) for ladder in ladders] if all(ladders) else []

    def is_sustained_throughout(self, arm: str) -> bool:
        """Whether all rates that were tried were sustained under some seed, so that more may be."""
        ladders = (self.ladder(arm, seed) for seed in self.seeds)
        return any(ladder and all(row.attainment >= P90 for row in ladder) for ladder in ladders)

    def tightest(self, arm: str, load: float) -> list[float]:
        """The least SLO scale with 90 % in time at a load, seed by seed.

        Who looks at deadlines is measured under several scales, and its attainment taken to be linear between them.
        """
        rows = self.at(arm, load)
        if not rows or not rows[0].point.due:
            return [row.tightest(P90) for row in rows]
        return [self._tightest_due(arm, load, seed) for seed in self.seeds]

    def _tightest_due(self, arm: str, load: float, seed: int) -> float:
        own = (row for row in self._rows if (row.point.arm, row.point.load, row.point.seed) == (arm, load, seed))
        rows = sorted(
            (row for row in own if (row.point.cap, row.point.memory) == (self._cap, 1.0)),
            key=lambda row: row.point.scale,
        )
        points = [(row.point.scale, row.attainment) for row in rows]
        return next(_crossings(points, rising=True), nan) if len(points) > 1 else nan

    def _plain(self) -> Iterator[OnlineRow]:
        for row in self._rows:
            point = row.point
            if (point.cap, point.memory, point.hints, point.scale) == (self._cap, 1.0, True, 1.0):
                yield row


def _setting(row: OnlineRow) -> tuple[str, float, float, bool, int, float]:
    point = row.point
    return point.arm, point.load, point.memory, point.hints, point.cap, point.scale


def sustained_rate(ladder: Sequence[OnlineRow]) -> float:
    """Where attainment falls below 90 %, between the rates that were tried, going up; at no rate, all are in time.

    Where it never falls, the greatest rate that was tried.
    """
    points = [(0.0, 1.0), *((row.rate, row.attainment) for row in ladder)]
    return next(_crossings(points, rising=False), ladder[-1].rate)


def _crossings(points: Sequence[tuple[float, float]], *, rising: bool) -> Iterator[float]:
    """Where a line through points crosses 90 %; one that begins on the other side does so at its first point."""
    if rising and points and points[0][1] >= P90:
        yield points[0][0]
    for (x, y), (next_x, next_y) in pairwise(points):
        if (y < P90 <= next_y) if rising else (y >= P90 > next_y):
            yield x + (P90 - y) / (next_y - y) * (next_x - x)


def ratio(over: Sequence[float], under: Sequence[float]) -> Estimate:
    """Of two means over the same seeds, with a 95 % interval by resampling the seeds."""
    if not over or len(over) != len(under):
        return Estimate(nan, nan, nan)
    return resampled_ratios({0: (over, under)})[0]


def mean(values: Sequence[float]) -> Estimate:
    """Over seeds, with the same kind of interval."""
    return ratio(values, [1.0] * len(values))


def averaged(rows: Sequence[OnlineRow], figure: Figure) -> float:
    """A figure over seeds; not a number where there are no rows."""
    return fmean(map(figure, rows)) if rows else nan


def deciles(rows: Sequence[OnlineRow]) -> list[float]:
    """Finish-time fairness at every tenth of the programs, in ms a token, over seeds."""
    return [fmean(row.fairness[place] for row in rows) for place in range(10)] if rows else []
