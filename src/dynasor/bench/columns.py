"""The results of several runs on the same problems, as columns of numbers with one entry a problem.

Problems are the independent units: runs that differ only in their seed are averaged for each problem first.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dynasor.bench.groups import listed
from dynasor.bench.runs import Result, Run
from dynasor.errors import UsageError

Column = list[float]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Each a mean over the runs. An answer that is not judged in all runs counts 0 in `correct`."""

    correct: Column
    tokens: Column
    even_tokens: Column
    certaindex: Column
    knob: Column
    latency_s: Column


class SharedProblems:
    """What all runs have finished.

    Attributes:
        ids: of the problems, sorted, so that the order of the runs changes no figure.
        left_out_count: problems that some of the runs have finished, and not all.
        ones: 1 for every problem.
        judged: 1 for a problem whose answer is judged in all runs, else 0.

    Raises:
        UsageError: if no problem is finished in all runs, or one id stands for two questions.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        finished = [run.results.keys() for run in runs]
        self.ids = sorted(set(finished[0]).intersection(*finished[1:]))
        self.left_out_count = len(set().union(*finished)) - len(self.ids)
        if not self.ids:
            names = listed([str(run.path) for run in runs])
            raise UsageError(f"no problem is finished in all of {names}; compare runs over the same problems")
        for problem in self.ids:
            _check_question(problem, runs)
        self.ones = [1.0] * len(self.ids)
        self.judged = [float(all(run.results[id_].correct is not None for run in runs)) for id_ in self.ids]
        self._columns: dict[tuple[Path, ...], Columns] = {}

    @property
    def judged_count(self) -> int:
        """How many answers are judged in all runs."""
        return round(sum(self.judged))

    def columns(self, runs: Sequence[Run]) -> Columns:
        """The results of runs that differ only in their seed, averaged for each problem; the same object each time."""
        key = tuple(run.path for run in runs)
        if key not in self._columns:
            self._columns[key] = self._averaged(runs)
        return self._columns[key]

    def changed(self, pairs: Sequence[tuple[Run, Run]]) -> float:
        """In how many problems the answers of two runs differ; the mean over the pairs."""
        return sum(a.results[id_].answer != b.results[id_].answer for a, b in pairs for id_ in self.ids) / len(pairs)

    def stops(self, runs: Iterable[Run]) -> dict[str, float]:
        """Why programs got no more: the share of each reason, the most frequent first."""
        counts = Counter(run.results[id_].stopped_by for run in runs for id_ in self.ids)
        return {reason: count / counts.total() for reason, count in counts.most_common()}

    def even_recorded(self, runs: Iterable[Run]) -> bool:
        """Whether what even allocation takes is recorded for every problem, or estimated for some."""
        return all(run.results[id_].even_recorded for run in runs for id_ in self.ids)

    def _averaged(self, runs: Sequence[Run]) -> Columns:
        return Columns(
            correct=[c * j for c, j in zip(self._mean(runs, lambda r: r.correct or 0.0), self.judged, strict=True)],
            tokens=self._mean(runs, lambda r: r.tokens),
            even_tokens=self._mean(runs, lambda r: r.even_tokens),
            certaindex=self._mean(runs, lambda r: r.certaindex),
            knob=self._mean(runs, lambda r: r.knob),
            latency_s=self._mean(runs, lambda r: r.latency_s),
        )

    def _mean(self, runs: Sequence[Run], figure: Callable[[Result], float]) -> Column:
        return [sum(figure(run.results[id_]) for run in runs) / len(runs) for id_ in self.ids]


def _check_question(problem: str, runs: Sequence[Run]) -> None:
    first: Run | None = None
    for run in runs:
        question = run.results[problem].question
        if question is None:
            continue
        if first is not None and question != first.results[problem].question:
            raise UsageError(
                f"problem '{problem}' is one question in {first.path} and another in {run.path};"
                " compare runs over the same problems"
            )
        first = first or run
