"""Curves fitted to profiles: what the solvable problems needed that read so certain (paper 3.2, 5.2.1, 6.4).

Readings are few values at small knobs, so rows stand at values that were read and not on a grid. Neighbouring values
are pooled until there are enough points, and a higher certaindex never gets more. What the curve risks is not known
here.
"""

from collections.abc import Iterable, Sequence
from math import ceil, inf
from typing import NamedTuple

from dynasor.allocation.curve import Curve
from dynasor.calibration.profile import ProblemProfile

FEWEST_POINTS = 20


class Row(NamedTuple):
    """At least so certain, at most so much."""

    certaindex: float
    knob: int


class Pool(NamedTuple):
    """Neighbouring readings, the least certain of them, and what those who read so needed, ascending."""

    certaindex: float
    needed: Sequence[int]


def skyline(points: Iterable[tuple[float, int]], *, quantile: float = 1.0, fewest: int = FEWEST_POINTS) -> list[Row]:
    """The monotone curve above `quantile` of the points in every pool of neighbouring readings.

    Args:
        points: certaindex and the knob that was needed, of solvable problems.
        quantile: 1 for the skyline itself.
        fewest: points in a pool; what is left over at the uncertain end is given the cap, by having no row.

    Returns:
        Rows from certain to uncertain; knobs rise strictly.
    """
    return _rows(_pools(points, fewest), quantile)


def _pools(points: Iterable[tuple[float, int]], fewest: int) -> list[Pool]:
    pools: list[Pool] = []
    pool: list[int] = []
    ordered = sorted(points, reverse=True)
    for place, (certaindex, needed) in enumerate(ordered):
        pool.append(needed)
        last_of_value = place + 1 == len(ordered) or ordered[place + 1][0] < certaindex
        if last_of_value and len(pool) >= fewest:
            pools.append(Pool(certaindex, sorted(pool)))
            pool = []
    return pools


def _rows(pools: Iterable[Pool], quantile: float) -> list[Row]:
    rows: list[Row] = []
    for certaindex, needed in pools:
        most = max(needed[ceil(quantile * len(needed)) - 1], rows[-1].knob if rows else 0)
        if rows and rows[-1].knob == most:
            rows.pop()
        rows.append(Row(certaindex, most))
    return rows


class Skylines:
    """The skylines of some problems at every knob, each made once: curves of all kinds are read from them."""

    def __init__(self, profiles: Sequence[ProblemProfile], *, fewest: int = FEWEST_POINTS) -> None:
        self._paths = [path for profile in profiles for path in profile.paths if path.needed is not None]
        self._fewest = fewest
        self._cap = profiles[0].paths[0].cap
        self._pools: dict[int, list[Pool]] = {}

    def initial(self, detect_at: int, quantile: float = 1.0) -> Curve | None:
        """The curve of the readings at the detection step; None where it would give everybody the cap."""
        rows = _rows(self._pooled(detect_at), quantile)
        return _curve([Row(least, max(most, detect_at)) for least, most in rows if most < self._cap], detect_at, 0)

    def dynamic(self, detect_at: int, step: int, quantile: float = 1.0) -> Curve | None:
        """A curve fitted at every step, and read at every step; None where nothing ever stops.

        At each step the least certaindex counts to which that step's own skyline gives no more than the step. What
        suffices at a step must suffice at all later ones.
        """
        least, rows = 0.0, []
        for knob in reversed(range(detect_at, self._cap, step)):
            fitted = _rows(self._pooled(knob), quantile)
            least = max(least, min((row.certaindex for row in fitted if row.knob <= knob), default=inf))
            rows.append(Row(least, knob))
        return _curve([row for row in reversed(rows) if row.certaindex <= 1], detect_at, step)

    def _pooled(self, knob: int) -> "list[Pool]":
        """A program that has ended before is not asked there."""
        if knob not in self._pools:
            points = [(p.progress[knob].certaindex, p.needed) for p in self._paths if p.needed and knob <= p.end]
            self._pools[knob] = _pools(points, self._fewest)
        return self._pools[knob]


def initial_curve(
    profiles: Sequence[ProblemProfile], detect_at: int, *, quantile: float = 1.0, fewest: int = FEWEST_POINTS
) -> Curve | None:
    """The initial-step curve of these problems alone; see `Skylines.initial`."""
    return Skylines(profiles, fewest=fewest).initial(detect_at, quantile)


def dynamic_curve(
    profiles: Sequence[ProblemProfile], detect_at: int, step: int, *, quantile: float = 1.0, fewest: int = FEWEST_POINTS
) -> Curve | None:
    """The dynamic curve of these problems alone; see `Skylines.dynamic`."""
    return Skylines(profiles, fewest=fewest).dynamic(detect_at, step, quantile)


def _curve(rows: Sequence[Row], detect_at: int, step: int) -> Curve | None:
    """Of rows with one certaindex the one that gives the least is kept; of those with one knob the least certain."""
    kept: list[Row] = []
    for row in rows:
        certaindex = floored(row.certaindex)
        if kept and kept[-1].knob == row.knob:
            kept.pop()
        if not kept or certaindex < kept[-1].certaindex:
            kept.append(Row(certaindex, row.knob))
    return Curve("/".join(f"{least:g}@{most}" for least, most in kept), detect_at, step) if kept else None


def floored(certaindex: float) -> float:
    """Rounded down, so that the reading itself is certain enough."""
    return int(certaindex * 10_000) / 10_000
