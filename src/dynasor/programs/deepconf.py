"""DeepConf online (arXiv 2508.15260): branches that turn unsure are cut while they run. Knob: the number of branches.

A branch is as sure as its least sure group of tokens. Confidence is taken over the tokens that were drawn, not over
the likeliest twenty of each place, which would make every stream some twenty times as long.
"""

from dataclasses import dataclass
from typing import ClassVar

import msgspec

from dynasor.allocation.bounds import at_least, within
from dynasor.answers.weighted import WeightedBallot
from dynasor.datasets.problem import Problem
from dynasor.programs.best_of_n import by_lowest
from dynasor.programs.program import Setup
from dynasor.programs.steps import Execution, Gang
from dynasor.programs.weighted import WeightedSelfConsistency
from dynasor.request import Completion, Report


@dataclass(frozen=True, slots=True)
class DeepConfSettings:
    """Settings of DeepConf.

    Attributes:
        warmup: branches that are drawn to their end before any is cut.
        kept_percent: the share of the warm-up that is sure enough: 90 cuts few branches ("high"), 10 most ("low").
        agreed_share: the share of all weights at which the leading answer is the answer.
        group_tokens: the length of a group; the engines' own, for they tell the lowest.
        report_every: tokens between two looks at a branch.

    Raises:
        UsageError: for a number that cannot be.
    """

    warmup: int = 16
    kept_percent: float = 90.0
    agreed_share: float = 0.95
    group_tokens: int = 64
    report_every: int = 16

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in ("warmup", "group_tokens", "report_every"):
            at_least(name, getattr(self, name), 1)
        within("kept_percent", self.kept_percent, 0.0, 100.0)
        within("agreed_share", self.agreed_share, 0.0, 1.0)


class DeepConf(WeightedSelfConsistency):
    """Warm up, cut what is less sure than most of the warm-up, stop once the weights agree.

    The warm-up sets the threshold: the percentile 100 - `kept_percent` of its branches' lowest group log-probability.
    Later branches are cut where a full group falls below it. Branches below it have no vote, those of the warm-up
    included; the others weigh their lowest group's confidence. What the warm-up leaves out still counts towards the
    cap, and so does a branch that is cut.

    Attributes:
        threshold: the mean log-probability of a group below which a branch is cut; None during the warm-up.
    """

    settings: ClassVar[DeepConfSettings] = DeepConfSettings()
    reads_scores = False
    replays = False
    wants_reports = True

    def __init__(self, problem: Problem, setup: Setup) -> None:
        super().__init__(problem, setup)
        self.threshold: float | None = None

    def execute(self) -> Execution:
        """Draw the warm-up, then what is granted, until the weights agree."""
        while not self.agreed and (knob := (yield self.claim())):
            yield self._gang(knob)
            if self.threshold is None and self.knob >= self.settings.warmup and self.branches:
                self._end_warmup()
        return self.ballot.majority or self.evidence.ballot.majority  # any answer is better than none

    @property
    def agreed(self) -> bool:
        """Whether the question is answered: after the warm-up, by the share of the leading answer among two or more."""
        enough = self.threshold is not None and self.ballot.cast_count > 1
        return enough and self.ballot.share >= self.settings.agreed_share

    def observe(self, report: Report) -> bool:
        """Cut a branch whose lowest full group is below the threshold, and every branch once the weights agree.

        Of fewer tokens than a group a report tells their mean, which is no group's.
        """
        if self.agreed:
            return True
        if self.threshold is None or report.lowest_logprob is None:
            return False
        return report.tokens >= self.settings.group_tokens and report.lowest_logprob < self.threshold

    def weigh(self, completion: Completion) -> None:
        """Count the vote of a branch that is sure enough."""
        if self.threshold is None or _lowest(completion) >= self.threshold:
            super().weigh(completion)

    def weight_of(self, completion: Completion) -> float:
        """The confidence of the lowest group, in [0, 1]."""
        return by_lowest(completion)

    def _gang(self, knob: int) -> Gang:
        warm = self.knob >= self.settings.warmup
        count = knob if warm else min(knob, self.settings.warmup - self.knob)
        sampling = msgspec.structs.replace(self.setup.sampling, logprobs=True)
        every = self.settings.report_every if warm else None
        return self.gang([self.request(sampling=sampling, report_every=every) for _ in range(count)])

    def _end_warmup(self) -> None:
        self.threshold = percentile([_lowest(branch) for branch in self.branches], 100.0 - self.settings.kept_percent)
        self.ballot = WeightedBallot(self.setup.grouping())
        for branch in self.branches:
            self.weigh(branch)


def percentile(values: list[float], percent: float) -> float:
    """The value below which so many percent lie, linear between two of them.

    Never above the greatest and exact where all are equal, as `statistics.quantiles` is not: somebody must pass.
    """
    ordered = sorted(values)
    place = percent / 100.0 * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return min(ordered[below] + (place - below) * (ordered[above] - ordered[below]), ordered[above])


def _lowest(completion: Completion) -> float:
    by_lowest(completion)  # says what is missing
    return completion.lowest_logprob or 0.0
