"""How well readings tell the compute that is needed: Pearson's and Kendall's correlation (paper 3.2, 3.3, 4).

Readings are correlated with minus the fewest branches from which on the vote is right, over the programs that are right
at the cap; so a useful signal has a positive figure. Intervals are by bootstrap over questions, with the same draws for
all signals, so that their differences are paired. scipy comes with the extra `signals`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

from dynasor.bench.signals_programs import ENTROPY, Case, Workload
from dynasor.datasets.extras import optional
from dynasor.metrics.intervals import Estimate

FEWEST_UNITS = 10
DRAWS = 200
PURPOSE, EXTRA = "comparing signals", "signals"

Readings = Mapping[str, Sequence[Sequence[float]]]
"""By signal: for each case, for each of its programs."""


@dataclass(frozen=True, slots=True)
class CorrelationRow:
    """One signal at one detection step.

    Attributes:
        programs, questions: that are right at the cap, and so take part.
        pearson, kendall: with the branches needed by the same program, whose first branches the signal has read.
        apart: Kendall's with the branches needed under another order of the same samples.
        kendall_less_entropy: the paired difference; None for entropy itself.
    """

    signal: str
    detect_at: int
    programs: int
    questions: int
    pearson: Estimate
    kendall: Estimate
    apart: float
    kendall_less_entropy: Estimate | None


@dataclass(frozen=True, slots=True)
class DetectionRow:
    """Certaindex by entropy at one detection step.

    Attributes:
        certain: the share of all programs whose reading reaches 0.7, and which a static threshold would stop.
    """

    detect_at: int
    certain: float
    pearson: Estimate
    kendall: Estimate


def correlate(workload: Workload, readings: Readings, draws: int = DRAWS) -> list[CorrelationRow]:
    """A row for each signal; none where too few questions are solved.

    Raises:
        MissingExtra: without scipy.
    """
    solved = _Solved(workload, draws)
    if not solved.enough:
        return []
    columns = {name: solved.column(values) for name, values in readings.items()}
    pearson = {name: solved.drawn(column, solved.pearson) for name, column in columns.items()}
    kendall = {name: solved.drawn(column, solved.kendall) for name, column in columns.items()}
    return [
        CorrelationRow(
            signal=name,
            detect_at=workload.detect_at,
            programs=solved.programs,
            questions=solved.questions,
            pearson=interval(pearson[name]),
            kendall=interval(kendall[name]),
            apart=solved.apart(readings[name]),
            kendall_less_entropy=None if name == ENTROPY else interval(kendall[name] - kendall[ENTROPY]),
        )
        for name in readings
    ]


def by_detection(workload: Workload, steps: Sequence[int], threshold: float, draws: int = DRAWS) -> list[DetectionRow]:
    """Certaindex at several detection steps; none where too few questions are solved."""
    solved = _Solved(workload, draws)
    if not solved.enough:
        return []
    rows = []
    for step in steps:
        read = [[program.path.progress[step].certaindex for program in case.programs] for case in workload.cases]
        column, flat = solved.column(read), [value for values in read for value in values]
        rows.append(
            DetectionRow(
                detect_at=step,
                certain=sum(value >= threshold for value in flat) / len(flat),
                pearson=interval(solved.drawn(column, solved.pearson)),
                kendall=interval(solved.drawn(column, solved.kendall)),
            )
        )
    return rows


def interval(drawn: Any) -> Estimate:
    """The first figure, and the middle 95 % of the others; no bounds where some draws had no value."""
    low, high = optional("numpy", PURPOSE, EXTRA).quantile(drawn[1:], (0.025, 0.975))
    return Estimate(float(drawn[0]), float(low), float(high))


class _Solved:
    """The programs that are right at the cap, and the draws of their questions, the whole first."""

    def __init__(self, workload: Workload, draws: int) -> None:
        self._np = optional("numpy", PURPOSE, EXTRA)
        self._stats = optional("scipy.stats", PURPOSE, EXTRA)
        self._cases, self._pooled = workload.cases, workload.pooled
        self._needed = self._np.array([needed for _, _, needed in self._each(0)], float)
        units = [case.unit for case, _, _ in self._each(0)]
        _, inverse = self._np.unique(units, return_inverse=True)
        self.programs, self.questions = len(units), len(set(units))
        self.enough = self.questions >= FEWEST_UNITS
        members = [self._np.flatnonzero(inverse == unit) for unit in range(self.questions)]
        random = self._np.random.default_rng(0)
        picks = random.integers(self.questions, size=(draws, self.questions)) if self.enough else []
        self._draws = [self._np.concatenate([members[unit] for unit in pick]) for pick in picks]

    def column(self, readings: Sequence[Sequence[float]]) -> Any:
        """The readings of these programs."""
        return self._of(readings, 0)

    def drawn(self, column: Any, statistic: Any) -> Any:
        """A statistic of the whole, then of every draw."""
        whole = statistic(column, self._needed)
        return self._np.array([whole, *(statistic(column[draw], self._needed[draw]) for draw in self._draws)])

    def pearson(self, column: Any, needed: Any) -> float:
        """Of readings and branches saved; nan without variance."""
        return self._correlation(self._stats.pearsonr, column, needed)

    def kendall(self, column: Any, needed: Any) -> float:
        """Kendall's tau-b, for there are many ties."""
        return self._correlation(self._stats.kendalltau, column, needed)

    def apart(self, readings: Sequence[Sequence[float]]) -> float:
        """Kendall's with what the next order of the same samples needed; nan where there is one order."""
        if len(self._cases[0].programs) < 2:
            return nan
        needed = self._np.array([needed for _, _, needed in self._each(1)], float)
        return self.kendall(self._of(readings, 1), needed)

    def _correlation(self, correlation: Any, column: Any, needed: Any) -> float:
        if len(column) < 3 or column.min() == column.max() or needed.min() == needed.max():
            return nan
        return float(correlation(column, -needed).statistic)

    def _of(self, readings: Sequence[Sequence[float]], shift: int) -> Any:
        places = {id(case): place for place, case in enumerate(self._cases)}
        return self._np.array([readings[places[id(case)]][order] for case, order, _ in self._each(shift)], float)

    def _each(self, shift: int) -> list[tuple[Case, int, int]]:
        """Case, order, and the branches needed under the order so many further; only where it was right at the cap."""
        found = []
        for case in self._cases:
            for order in range(self._pooled):
                needed = case.programs[(order + shift) % len(case.programs)].path.needed
                if needed is not None:
                    found.append((case, order, needed))
        return found
