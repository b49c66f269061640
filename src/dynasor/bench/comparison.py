"""Several runs side by side, on the problems that all of them have finished.

It computes figures; it knows nothing of how they are shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dynasor.bench.columns import SharedProblems
from dynasor.bench.groups import even_counterpart, find_group, grouped
from dynasor.bench.resampling import resampled_ratios
from dynasor.bench.rows import Match, Row
from dynasor.bench.runs import Run
from dynasor.errors import UsageError
from dynasor.metrics.intervals import Estimate


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rows over the same problems.

    Attributes:
        problem_count: problems that every run has finished.
        left_out_count: problems that only some of the runs have finished.
        judged_count: problems whose answer is judged in every run.
        named_baseline: the label of the row that all others are compared with; None for even allocation, each with
            that of its own settings.
    """

    rows: tuple[Row, ...]
    problem_count: int
    left_out_count: int
    judged_count: int
    named_baseline: str | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """One row on the tokens-to-accuracy plane: generated tokens per problem, and accuracy in [0, 1]."""

    cap: int | None
    tokens: Estimate
    accuracy: Estimate


@dataclass(frozen=True, slots=True)
class Series:
    """One policy over its caps."""

    label: str
    points: tuple[Point, ...]


def compare(runs: Sequence[Run], baseline: str | None = None) -> Comparison:
    """Compare runs with a baseline: the label of a row, or the directory of a run.

    Without one, each run is compared with the even allocation of its own settings and seed: with that run where it is
    among the runs, else with the tokens that even allocation takes according to the run itself.

    Raises:
        UsageError: if there is no run, the runs have no problem in common, or the baseline is none of them.
    """
    if not runs:
        raise UsageError("nothing to compare; name the directory of at least one run")
    groups = grouped(runs)
    named = find_group(baseline, groups) if baseline else None
    shared = SharedProblems([run for group in groups for run in group.runs])
    matches = [Match(shared, group, named or even_counterpart(group, groups)) for group in groups]
    estimates = resampled_ratios(
        {(place, name): ratio for place, match in enumerate(matches) for name, ratio in match.ratios.items()}
    )
    return Comparison(
        rows=tuple(
            match.row({name: estimates[place, name] for name in match.ratios}) for place, match in enumerate(matches)
        ),
        problem_count=len(shared.ids),
        left_out_count=shared.left_out_count,
        judged_count=shared.judged_count,
        named_baseline=named.label if named else None,
    )


def tokens_to_accuracy(comparison: Comparison) -> tuple[Series, ...]:
    """For each policy its points, from few tokens to many; without rows whose answers cannot be judged."""
    points: dict[str, list[Point]] = {}
    for row in comparison.rows:
        if row.accuracy is not None:
            points.setdefault(row.group.series, []).append(Point(row.group.cap, row.tokens, row.accuracy))
    return tuple(
        Series(label, tuple(sorted(mine, key=lambda point: point.tokens.value))) for label, mine in points.items()
    )
