"""The policies among which a calibration chooses.

Where the answer is that of a majority, every candidate also stops at a decided vote, which loses nothing. It is not
known here which of them may be promised, nor what they come to.
"""

from collections.abc import Iterator, Sequence

from dynasor.allocation.baselines import Beta, Even
from dynasor.allocation.compose import FirstToStop
from dynasor.allocation.curve import Curve
from dynasor.allocation.decided import Decided
from dynasor.allocation.expected_gain import State
from dynasor.allocation.gain_table import written
from dynasor.allocation.hopeless import Hopeless
from dynasor.allocation.lasting import Lasting
from dynasor.allocation.progress import Policy
from dynasor.allocation.threshold import StaticThreshold, SteppedThreshold
from dynasor.calibration.fit import Skylines, floored
from dynasor.calibration.gain import Caution, Walk, asks_below, fit
from dynasor.calibration.outcomes import Candidate, Measured, measured
from dynasor.calibration.profile import Path, ProblemProfile
from dynasor.certaindex.entropy import attainable
from dynasor.config import describe

__all__ = [
    "DECIDED", "EVEN", "LOWEST", "Candidate", "Measured", "curves", "fitted", "fixed", "gains", "measured", "read",
    "thresholds",
]  # fmt: skip

DETECT_AT = (3, 5, 8)
STEPS = (5, 1)
QUANTILES = (1.0, 0.99, 0.95, 0.9)
LOWEST = 0.4  # below it no two thirds of the answers agree
CONFIDENCES = (0.8, 0.9, 0.95, 0.99, 0.999)
LASTING = (0.9, 0.95, 0.97, 0.98, 0.99)
FLOORS, PATIENCES = (0.2, 0.3), (5, 10)
PRICES = (0.0005, 0.001, 0.002)  # of a branch, in accuracy
_MOST_READ = 12  # thresholds at values that were read

DECIDED = Candidate("decided", Decided())
EVEN = Candidate("even", Even())


def fixed(cap: int) -> list[Candidate]:
    """Those that look at no problem, for programs that answer by majority."""
    return [*thresholds(cap), *_likely(), *_hopeless(cap)]


def fitted(profiles: Sequence[ProblemProfile], base: Candidate = DECIDED) -> list[Candidate]:
    """Those that are fitted to these profiles, all of one cap; they are to be judged on others."""
    cap = profiles[0].paths[0].cap
    found = curves(profiles, cap, base)
    return [*found, *gains(profiles, cap)] if base is DECIDED else [*read(profiles, cap), *found]


def thresholds(cap: int) -> list[Candidate]:
    """Thresholds at attainable values, judged once, every five branches and every branch; they look at no problem."""
    found: list[Candidate] = []
    for detect_at in (step for step in DETECT_AT if step < cap):
        values = (floored(value) for value in attainable(detect_at) if value >= LOWEST)
        found += [joined(DECIDED, name, policy) for value in values for name, policy in _at(value, detect_at)]
    return found


def read(profiles: Sequence[ProblemProfile], cap: int) -> list[Candidate]:
    """Thresholds at values that were read at the detection step: those of other signals cannot be listed."""
    found: list[Candidate] = []
    for detect_at in (step for step in (1, 2, *DETECT_AT) if step < cap):
        paths = [path for profile in profiles for path in profile.paths if path.end >= detect_at]
        values = sorted({floored(path.progress[detect_at].certaindex) for path in paths}, reverse=True)
        chosen = values[:: -(-len(values) // _MOST_READ)] if values else []
        found += [joined(EVEN, name, policy) for value in chosen for name, policy in _at(value, detect_at)]
    return found


def curves(profiles: Sequence[ProblemProfile], cap: int, base: Candidate = DECIDED) -> list[Candidate]:
    """Curves fitted to these profiles: initial-step, and dynamic every five and every branch."""
    found = dict.fromkeys(_curves(Skylines(profiles), cap))
    return [joined(base, "curve", curve) for curve in found if curve is not None]


def gains(profiles: Sequence[ProblemProfile], cap: int) -> list[Candidate]:
    """Stopping by expected gain, fitted to these profiles, alone and with the Beta rule; none without whole votes."""
    if not all(_has_whole_votes(path) for profile in profiles for path in profile.paths):
        return []
    asks = asks_below(cap)
    walks = [_walked(profile.id, path, asks) for profile in profiles for path in profile.paths]
    found = dict.fromkeys(written(fit(walks, asks, cap, price=price, caution=Caution())) for price in PRICES if asks)
    alone = [joined(DECIDED, "gain", policy) for policy in found]
    with_beta = _with("beta", Beta(), DECIDED)
    return [*alone, *(joined(with_beta, "gain", policy) for policy in found)]


def joined(base: Candidate, name: str, policy: Policy) -> Candidate:
    """A policy beside the one that loses nothing."""
    return Candidate(describe(name, policy), policy) if base is EVEN else _with(name, policy, base)


def _with(name: str, policy: Policy, base: Candidate) -> Candidate:
    parts = base.policy.policies if isinstance(base.policy, FirstToStop) else (base.policy,)
    return Candidate(f"{base.text}+{describe(name, policy)}", FirstToStop((*parts, policy)))


def _at(value: float, detect_at: int) -> list[tuple[str, Policy]]:
    stepped = [("stepped", SteppedThreshold(value, detect_at, step)) for step in STEPS]
    return [("static", StaticThreshold(value, detect_at)), *stepped]


def _likely() -> list[Candidate]:
    """Stopping by odds: those of an endless run, and those of what is left below the cap."""
    betas = [joined(DECIDED, "beta", Beta(confidence)) for confidence in CONFIDENCES]
    return betas + [joined(DECIDED, "lasting", Lasting(confidence)) for confidence in LASTING]


def _hopeless(cap: int) -> list[Candidate]:
    """The early end of the hopeless, alone and beside rules for the certain."""
    beside = [DECIDED, joined(DECIDED, "beta", Beta())]
    beside += [
        joined(DECIDED, "stepped", SteppedThreshold(floored(value), 5, 1)) for value in attainable(5)[:3] if cap > 5
    ]
    rules = [Hopeless(floor, patience) for floor in FLOORS for patience in PATIENCES]
    return [_with("hopeless", rule, base) for base in beside for rule in rules if rule.detect_at < cap]


def _curves(skylines: Skylines, cap: int) -> Iterator[Curve | None]:
    for detect_at in (step for step in DETECT_AT if step < cap):
        for quantile in QUANTILES:
            yield skylines.initial(detect_at, quantile)
            for step in STEPS:
                yield skylines.dynamic(detect_at, step, quantile)


def _has_whole_votes(path: Path) -> bool:
    """Whether it goes to the cap, and every turn of the knob cast a vote."""
    return path.end == path.cap and all(each.votes.cast == each.knob for each in path.progress)


def _walked(problem: str, path: Path, asks: Sequence[int]) -> Walk:
    states = tuple(State.of(path.progress[ask].votes) for ask in asks)
    return Walk(problem, states, (*(path.right[ask] for ask in asks), path.right[-1]))
