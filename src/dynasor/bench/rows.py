"""One row of a comparison: a group of runs and what it is compared with. Knows nothing of the other rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean

from dynasor.bench.columns import SharedProblems
from dynasor.bench.groups import Group, pairs
from dynasor.bench.resampling import Ratio
from dynasor.metrics.intervals import Estimate, wilson


class Baseline(StrEnum):
    """What a row is compared with."""

    ITSELF = "itself"
    RUN = "run"  # another row
    RECORDED = "recorded"  # what even allocation takes on the same problems, known from the recording
    ESTIMATED = "estimated"  # the same, estimated from the branches that the run has drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run, or the average of several that differ only in their seed.

    Intervals are by bootstrap over problems where they are not said to be Wilson's.

    Attributes:
        accuracy: over the judged problems, with Wilson's interval; None where no answer can be judged.
        tokens: generated tokens per problem.
        total_tokens: of one run, on the shared problems.
        branches, certaindex, latency_s: means over the problems. A recording has no latency: None.
        stops: why programs got no more: the share of each reason.
        against: the label of the row that this one is compared with; None where that is no row.
        saved: the share of the baseline's tokens; None for the baseline itself.
        gained: accuracy less that of the baseline; None for the baseline, and where the baseline has no answers.
        changed: the share of answers that differ from the baseline's, with Wilson's interval; None as for `gained`.
    """

    group: Group
    accuracy: Estimate | None
    tokens: Estimate
    total_tokens: float
    branches: float
    certaindex: float
    latency_s: float | None
    stops: Mapping[str, float]
    baseline: Baseline
    against: str | None = None
    saved: Estimate | None = None
    gained: Estimate | None = None
    changed: Estimate | None = None

    @property
    def label(self) -> str:
        """What tells it from the other rows."""
        return self.group.label


class Match:
    """A group and its baseline, over the shared problems: the ratios to be resampled, and the row made of them."""

    def __init__(self, shared: SharedProblems, group: Group, against: Group | None) -> None:
        self._shared = shared
        self._group = group
        self._against = against
        self._own = shared.columns(group.runs)
        self._pairs = pairs(group, against) if against else []
        self.ratios = self._ratios()

    def row(self, estimates: Mapping[str, Estimate]) -> Row:
        """The row, from the estimates of `ratios`."""
        own, runs = self._own, self._group.runs
        left = estimates.get("tokens_left")
        return Row(
            group=self._group,
            accuracy=wilson(sum(own.correct), self._shared.judged_count) if self._shared.judged_count else None,
            tokens=estimates["tokens"],
            total_tokens=sum(own.tokens),
            branches=fmean(own.knob),
            certaindex=fmean(own.certaindex),
            latency_s=None if any(run.is_replay for run in runs) else fmean(own.latency_s),
            stops=self._shared.stops(runs),
            baseline=self._baseline(),
            against=self._against.label if self._against and self._is_matched else None,
            saved=Estimate(1 - left.value, 1 - left.high, 1 - left.low) if left else None,
            gained=estimates.get("gained"),
            changed=wilson(self._shared.changed(self._pairs), len(self._shared.ids)) if self._is_matched else None,
        )

    @property
    def _is_matched(self) -> bool:
        return self._against is not None and self._against is not self._group

    def _ratios(self) -> dict[str, Ratio]:
        own, shared = self._own, self._shared
        ratios: dict[str, Ratio] = {"tokens": (own.tokens, shared.ones)}
        if self._against is None:
            ratios["tokens_left"] = (own.tokens, own.even_tokens)
        elif self._is_matched:
            other = shared.columns([run for _, run in self._pairs])
            ratios["tokens_left"] = (own.tokens, other.tokens)
            if shared.judged_count:
                ratios["gained"] = ([a - b for a, b in zip(own.correct, other.correct, strict=True)], shared.judged)
        return ratios

    def _baseline(self) -> Baseline:
        if self._against is not None:
            return Baseline.RUN if self._is_matched else Baseline.ITSELF
        return Baseline.RECORDED if self._shared.even_recorded(self._group.runs) else Baseline.ESTIMATED
