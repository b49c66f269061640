"""Whether promises are kept: a labelled recording is halved at random, calibrated on one half and tried on the other.

Beside it stands what a tuner without a guarantee gets, as in the paper (5.2.2): the threshold that saves most among
those that lose no more than the tolerance on the same calibration half.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from dynasor.calibration.calibrate import calibrated, divided
from dynasor.calibration.candidates import DECIDED, Measured, measured, thresholds
from dynasor.calibration.guarantee import Promise
from dynasor.calibration.profile import ProblemProfile
from dynasor.metrics.intervals import Estimate, wilson


@dataclass(frozen=True, slots=True)
class Tried:
    """A policy on the half that it was not chosen on.

    Attributes:
        loss: accuracy less than even allocation's there, a share of 1.
        saving: the share of even allocation's tokens that it did without.
    """

    policy: str
    loss: float
    saving: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """What came of the splits; entries of both sequences belong together.

    Attributes:
        promised: the policies that the calibrator chose.
        tuned: those of the tuner without a guarantee.
    """

    promise: Promise
    promised: tuple[Tried, ...]
    tuned: tuple[Tried, ...]

    @property
    def broken(self) -> Estimate:
        """The share of splits in which the calibrator's promise did not hold on the other half."""
        return exceeding(self.promised, self.promise)

    @property
    def promised_more(self) -> float:
        """The share of splits in which more than `decided` could be promised."""
        return fmean(tried.policy != DECIDED.text for tried in self.promised)


def exceeding(tried: Sequence[Tried], promise: Promise) -> Estimate:
    """The share that lost more than the tolerance, with its binomial interval."""
    return wilson(sum(each.loss > promise.tolerance for each in tried), len(tried))


def mean_saving(tried: Sequence[Tried]) -> float:
    """The mean share of tokens saved."""
    return fmean(each.saving for each in tried)


def coverage(profiles: Sequence[ProblemProfile], promise: Promise, *, splits: int) -> Coverage:
    """Halve the problems so many times, each time anew; the halves of a split have no problem in common."""
    static = [measured(candidate, profiles) for candidate in (DECIDED, *thresholds(profiles[0].paths[0].cap))]
    places = {profile.id: place for place, profile in enumerate(profiles)}
    promised, tuned = [], []
    for seed in range(splits):
        calibration, test = divided(profiles, 0.5, seed)
        chosen = calibrated(calibration, promise, seed=seed).chosen.candidate
        promised.append(_tried(measured(chosen, test)))
        tuned.append(_tuned(static, places, calibration, test, promise))
    return Coverage(promise, tuple(promised), tuple(tuned))


def _tuned(
    static: Sequence[Measured],
    places: Mapping[str, int],
    calibration: Sequence[ProblemProfile],
    test: Sequence[ProblemProfile],
    promise: Promise,
) -> Tried:
    here = [_of(each, [places[profile.id] for profile in calibration]) for each in static]
    best = max(range(len(static)), key=lambda n: (here[n].loss <= promise.tolerance, here[n].saving.value))
    return _tried(_of(static[best], [places[profile.id] for profile in test]))


def _of(each: Measured, places: Sequence[int]) -> Measured:
    """The same candidate on some of its problems."""
    losses, spent, even = (tuple(column[n] for n in places) for column in (each.losses, each.spent, each.even))
    return Measured(each.candidate, losses, spent, even)


def _tried(each: Measured) -> Tried:
    return Tried(each.candidate.text, each.loss, each.saving.value)
