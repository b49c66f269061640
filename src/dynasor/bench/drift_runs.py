"""One watched run on profiles: calibrated on some problems, run on others, shifted or not.

What a program makes of a problem is recorded; drawn by the seed are the problems' order, which of the recorded orders
of branches each gets, and which are shadows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

from dynasor.allocation.progress import Policy
from dynasor.calibration.calibrate import calibrated
from dynasor.calibration.drift import Compared, Drift, Expectation, Seen
from dynasor.calibration.drift_expected import expectation, expected_facts
from dynasor.calibration.guarantee import Promise
from dynasor.calibration.profile import Path, ProblemProfile


@dataclass(frozen=True, slots=True)
class Watching:
    """What is looked at.

    Attributes:
        share: of the problems that are shadows.
        labelled: whether right answers are known.
        efforts: whether the effort of all programs is looked at too.
    """

    name: str
    share: float
    labelled: bool
    efforts: bool


@dataclass(frozen=True, slots=True)
class Promised:
    """A policy with what a run is held to."""

    text: str
    policy: Policy
    expected: Expectation
    _stops: dict[int, int] = field(default_factory=dict, compare=False)

    def stops_at(self, path: Path) -> int:
        """The knob at which the policy ends a program; kept, for the path is looked at several times."""
        found = self._stops.get(id(path))
        if found is None:
            found = self._stops[id(path)] = path.stopped_at(self.policy)
        return found


@dataclass(frozen=True, slots=True)
class Watched:
    """How far a run came: to its alarm, and why; or to its end, and no reason."""

    reason: str | None
    programs: int
    shadows: int


def promised(profiles: Sequence[ProblemProfile], promise: Promise, seed: int) -> Promised:
    """Calibrate, as `dynasor calibrate` does."""
    found = calibrated(profiles, promise, seed=seed)
    stated = {"tolerance_points": 100 * promise.tolerance, "confidence": promise.confidence}
    facts = expected_facts(found, profiles, seed)
    candidate = found.chosen.candidate
    return Promised(candidate.text, candidate.policy, expectation(stated | facts))


def watched(given: Promised, paths: Iterable[Path], watching: Watching, random: Random) -> Watched:
    """Run the policy on one problem after the other, until the alarm or to the end."""
    expected = given.expected
    if not watching.efforts:
        expected = Expectation(expected.promise, expected.changed)
    drift = Drift(expected)
    for path in paths:
        drift.take(_seen(path, given.stops_at(path), watching, is_shadow=random.random() < watching.share))
        if drift.alarm is not None:
            break
    return Watched(drift.alarm, drift.programs, drift.shadows)


def drawn(profiles: Sequence[ProblemProfile], random: Random, count: int | None = None) -> Iterable[Path]:
    """A path of every problem in a random order; where more are wanted than there are, of all again in another."""
    left = len(profiles) if count is None else count
    while left > 0:
        for profile in random.sample(profiles, min(left, len(profiles))):
            yield random.choice(profile.paths)
        left -= len(profiles)


def _seen(path: Path, knob: int, watching: Watching, *, is_shadow: bool) -> Seen:
    effort = knob / path.cap
    if not is_shadow:
        return Seen(effort)
    loss = path.right[-1] - path.right[knob] if watching.labelled else None
    return Seen(effort, Compared(loss, not path.same[knob]))
