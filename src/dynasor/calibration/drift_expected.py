"""What a calibration tells a run to expect of its policy, and how that stands in the policy file.

Bounds are on means over problems that nothing was fitted to, and hold for whichever candidate was chosen. A file or a
policy that tells nothing is held to less: answers changed to the tolerance itself, which they reach before accuracy
does, and effort to nothing.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean

from dynasor.allocation.progress import Policy
from dynasor.calibration.calibrate import FITTING_SHARE, Calibration, divided
from dynasor.calibration.drift import OTHER_PART, Expectation
from dynasor.calibration.guarantee import Promise, upper_bound
from dynasor.calibration.policy_file import Value
from dynasor.calibration.profile import ProblemProfile
from dynasor.errors import UsageError

CHANGED, CHANGED_MOST = "changed_percent", "changed_percent_most"
EFFORT, EFFORT_MOST = "effort_percent", "effort_percent_most"
USUAL = Promise(0.005, 0.95)
"""What a policy without a file is held to: as `dynasor calibrate` promises unless told otherwise."""


def expected_facts(found: Calibration, profiles: Sequence[ProblemProfile], seed: int) -> dict[str, Value]:
    """The means on the problems that the calibration tested on, and their bounds, for the policy file."""
    _, testing = divided(profiles, FITTING_SHARE, seed)
    confidence = 1 - OTHER_PART * found.promise.level / len(found.trials)
    policy = found.chosen.candidate.policy
    facts: dict[str, Value] = {}
    for values, mean, most in ((efforts(policy, testing), EFFORT, EFFORT_MOST),
                               (changes(policy, testing), CHANGED, CHANGED_MOST)):  # fmt: skip
        if values:
            facts |= {mean: _percent(fmean(values)), most: _percent(upper_bound(values, confidence))}
    return facts


def efforts(policy: Policy, profiles: Sequence[ProblemProfile]) -> list[float]:
    """For each problem the share of the cap that the policy takes, its orders averaged."""
    return [fmean(path.stopped_at(policy) / path.cap for path in profile.paths) for profile in profiles]


def changes(policy: Policy, profiles: Sequence[ProblemProfile]) -> list[float]:
    """For each problem the share of its orders in which the policy changes the answer; none where that is unknown."""
    if not all(path.same for profile in profiles for path in profile.paths):
        return []
    return [fmean(not path.same[path.stopped_at(policy)] for path in profile.paths) for profile in profiles]


def expectation(promise: Mapping[str, Value] | None) -> Expectation:
    """What a policy file's promise lets a run expect; without a file, the usual.

    Raises:
        UsageError: where a figure is missing, or is none.
    """
    if promise is None:
        return Expectation(USUAL, USUAL.tolerance)
    kept = Promise(_number(promise, "tolerance_points") / 100, _number(promise, "confidence"))
    changed = _number(promise, CHANGED_MOST) / 100 if CHANGED_MOST in promise else kept.tolerance
    return Expectation(kept, changed, _number(promise, EFFORT_MOST) / 100 if EFFORT_MOST in promise else None)


def _number(promise: Mapping[str, Value], name: str) -> float:
    value = promise.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"the policy file promises nothing that can be watched: {name} is {value!r}; make one with"
                         " dynasor calibrate")  # fmt: skip
    return float(value)


def _percent(share: float) -> float:
    return round(100 * share, 4)
