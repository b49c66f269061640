"""Whether promises are kept: labelled problems are halved at random, calibrated on one half and tried on the other.

Beside it stands what a tuner without a guarantee gets, as in the paper (5.2.2): of the rules that need no fitting, the
one that saves most among those that lose no more than the tolerance on the same calibration half.

The loss on the test half has a chance of its own: also a policy that keeps its promise on all problems may lose more on
some half of them. So each policy is tried twice, on the test half, and on all problems that it was not fitted to.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from dynasor.calibration.calibrate import Prepared, chosen, divided, prepared
from dynasor.calibration.candidates import DECIDED, fixed
from dynasor.calibration.guarantee import Promise
from dynasor.calibration.outcomes import Candidate, Outcomes
from dynasor.calibration.profile import ProblemProfile
from dynasor.datasets.extras import optional
from dynasor.metrics.intervals import Estimate, wilson


@dataclass(frozen=True, slots=True)
class Tried:
    """A policy on problems that it was not chosen on.

    Attributes:
        loss: accuracy less than even allocation's on the test half, a share of 1.
        loss_on_all: the same on all problems that the policy was not fitted to.
        saving: the share of even allocation's tokens that it did without on the test half.
    """

    policy: str
    loss: float
    loss_on_all: float
    saving: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """What came of the splits; entries of all sequences belong together.

    Attributes:
        promised: the policies that the calibrator chose.
        tuned: those of the tuner without a guarantee.
        decided: what stopping at a decided vote saves, which needs no calibration.
    """

    promise: Promise
    promised: tuple[Tried, ...]
    tuned: tuple[Tried, ...]
    decided: tuple[float, ...]

    @property
    def promised_more(self) -> float:
        """The share of splits in which more than `decided` could be promised."""
        return fmean(tried.policy != DECIDED.text for tried in self.promised)


def exceeding(tried: Sequence[Tried], promise: Promise) -> Estimate:
    """The share that lost more than the tolerance on the test half, with its binomial interval (Wilson's)."""
    return wilson(sum(each.loss > promise.tolerance for each in tried), len(tried))


def exceeding_on_all(tried: Sequence[Tried], promise: Promise) -> Estimate:
    """The same on all problems that the policies were not fitted to."""
    return wilson(sum(each.loss_on_all > promise.tolerance for each in tried), len(tried))


def mean_saving(tried: Sequence[Tried]) -> float:
    """The mean share of tokens saved."""
    return fmean(each.saving for each in tried)


def coverage(profiles: Sequence[ProblemProfile], promises: Sequence[Promise], *, splits: int) -> list[Coverage]:
    """Halve the problems so many times, each time anew; the halves of a split have no problem in common."""
    outcomes = Outcomes(profiles)
    rules = _Rules(outcomes)
    found = [_split(outcomes, rules, promises, seed) for seed in range(splits)]
    return [_gathered(promise, [split[promise] for split in found]) for promise in promises]


@dataclass(frozen=True, slots=True)
class _Split:
    promised: Tried
    tuned: Tried
    decided: float


class _Rules:
    """The rules that need no fitting, as matrices with a row for each and a column for each problem."""

    def __init__(self, outcomes: Outcomes) -> None:
        numpy = optional("numpy", "the study of promises", "report")
        everyone = range(len(outcomes.profiles))
        self._rules = [DECIDED, *fixed(outcomes.profiles[0].paths[0].cap)]
        found = [outcomes.measured(rule, everyone) for rule in self._rules]
        self._losses = numpy.array([each.losses for each in found])
        self._spent = numpy.array([each.spent for each in found])

    def tuned(self, calibration: Sequence[int], promise: Promise) -> Candidate:
        """The one that saves most among those that lose no more than the tolerance on these problems."""
        losses, spent = self._losses[:, calibration].mean(1), self._spent[:, calibration].sum(1)
        return self._rules[min(range(len(self._rules)), key=lambda n: (losses[n] > promise.tolerance, spent[n]))]


def _split(outcomes: Outcomes, rules: _Rules, promises: Sequence[Promise], seed: int) -> Mapping[Promise, _Split]:
    calibration, test = divided(range(len(outcomes.profiles)), 0.5, seed)
    ready = prepared(outcomes, calibration, seed)
    tuned = {promise: rules.tuned(calibration, promise) for promise in promises}
    saved = outcomes.measured(DECIDED, test).saved
    return dict(_chosen(ready, tuned, test, saved))


def _chosen(
    ready: Prepared, tuned: Mapping[Promise, Candidate], test: Sequence[int], saved: float
) -> Iterator[tuple[Promise, _Split]]:
    everyone = range(len(ready.outcomes.profiles))
    unfitted = [*ready.testing, *test]
    for promise, rule in tuned.items():
        promised = chosen(ready, promise).chosen.candidate
        tried = _tried(ready.outcomes, promised, test, unfitted)
        yield promise, _Split(tried, _tried(ready.outcomes, rule, test, everyone), saved)


def _tried(outcomes: Outcomes, candidate: Candidate, test: Sequence[int], everywhere: Sequence[int]) -> Tried:
    there = outcomes.measured(candidate, test)
    return Tried(candidate.text, there.loss, outcomes.measured(candidate, everywhere).loss, there.saved)


def _gathered(promise: Promise, splits: Sequence[_Split]) -> Coverage:
    return Coverage(
        promise,
        tuple(split.promised for split in splits),
        tuple(split.tuned for split in splits),
        tuple(split.decided for split in splits),
    )
