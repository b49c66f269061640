"""The policies among which a calibration chooses, and what each comes to on profiles.

Every candidate also stops at a decided vote, which loses nothing. It is not known here which of them may be promised.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dynasor.allocation.compose import FirstToStop
from dynasor.allocation.curve import Curve
from dynasor.allocation.decided import Decided
from dynasor.allocation.progress import Policy
from dynasor.allocation.threshold import StaticThreshold, SteppedThreshold
from dynasor.calibration.fit import dynamic_curve, initial_curve
from dynasor.calibration.profile import ProblemProfile
from dynasor.certaindex.entropy import attainable
from dynasor.config import describe
from dynasor.metrics.intervals import Estimate, RunningSaving

DETECT_AT = (3, 5, 8)
STEPS = (5, 1)
QUANTILES = (1.0, 0.99, 0.95, 0.9)
LOWEST = 0.4  # below it no two thirds of the answers agree


@dataclass(frozen=True, slots=True)
class Candidate:
    """A policy and its canonical specification."""

    text: str
    policy: Policy


DECIDED = Candidate("decided", Decided())


@dataclass(frozen=True, slots=True)
class Measured:
    """A candidate on some problems; one entry for each, means over its orders.

    Attributes:
        losses: how right even is less how right the candidate is, in [-1, 1].
        spent, even: tokens that it takes, and that even allocation takes.
    """

    candidate: Candidate
    losses: tuple[float, ...]
    spent: tuple[float, ...]
    even: tuple[float, ...]

    @property
    def loss(self) -> float:
        """The mean loss; 0 where there are no problems."""
        return sum(self.losses) / len(self.losses) if self.losses else 0.0

    @property
    def saving(self) -> Estimate:
        """The share of even allocation's tokens that it does without."""
        saving = RunningSaving()
        for spent, even in zip(self.spent, self.even, strict=True):
            saving.add(spent, even)
        return saving.estimate()


def thresholds(cap: int) -> list[Candidate]:
    """Thresholds at attainable values, judged once, every five branches and every branch; they look at no problem."""
    found: list[Candidate] = []
    for detect_at in (step for step in DETECT_AT if step < cap):
        for value in (int(value * 10_000) / 10_000 for value in attainable(detect_at) if value >= LOWEST):
            found.append(_with_decided("static", StaticThreshold(value, detect_at)))
            found += [_with_decided("stepped", SteppedThreshold(value, detect_at, step)) for step in STEPS]
    return found


def curves(profiles: Sequence[ProblemProfile], cap: int) -> list[Candidate]:
    """Curves fitted to these profiles; they are to be judged on others."""
    fitted = dict.fromkeys(_fitted(profiles, cap))
    return [_with_decided("curve", curve) for curve in fitted if curve is not None]


def measured(candidate: Candidate, profiles: Iterable[ProblemProfile]) -> Measured:
    """Play a candidate on every path of every profile."""
    figures = [_means(candidate.policy, profile) for profile in profiles]
    losses, spent, even = zip(*figures, strict=True) if figures else ((), (), ())
    return Measured(candidate, losses, spent, even)


def _means(policy: Policy, profile: ProblemProfile) -> tuple[float, float, float]:
    loss, spent, even = 0.0, 0, 0
    for path in profile.paths:
        knob = path.stopped_at(policy)
        loss += path.right[-1] - path.right[knob]
        spent += path.progress[knob].tokens
        even += path.progress[-1].tokens
    count = len(profile.paths)
    return loss / count, spent / count, even / count


def _fitted(profiles: Sequence[ProblemProfile], cap: int) -> Iterator[Curve | None]:
    for detect_at in (step for step in DETECT_AT if step < cap):
        for quantile in QUANTILES:
            yield initial_curve(profiles, detect_at, quantile=quantile)
            for step in STEPS:
                yield dynamic_curve(profiles, detect_at, step, quantile=quantile)


def _with_decided(name: str, policy: Policy) -> Candidate:
    return Candidate(f"{DECIDED.text}+{describe(name, policy)}", FirstToStop((DECIDED.policy, policy)))
