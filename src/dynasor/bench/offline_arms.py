"""The policies of the offline evaluation: the paper's (Table 4, in its order), ours, and the neighbours' rules.

An arm is a family of settings. Which of them is used is chosen on the calibration half, by the same rule for all; what
a family offers may be fitted there. How they fare is not known here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dynasor.allocation.baselines import Beta, Even, Length, Windows
from dynasor.allocation.compose import FirstToStop
from dynasor.allocation.curve import Curve
from dynasor.allocation.expected_gain import State
from dynasor.allocation.hopeless import Hopeless
from dynasor.allocation.lasting import Lasting
from dynasor.allocation.progress import Policy
from dynasor.allocation.threshold import StaticThreshold, SteppedThreshold
from dynasor.bench.offline_replays import Replay
from dynasor.calibration.calibrate import calibrated
from dynasor.calibration.candidates import DECIDED, LASTING, LOWEST, Candidate
from dynasor.calibration.fit import dynamic_curve, initial_curve
from dynasor.calibration.gain import Caution, Walk, asks_below, fit
from dynasor.calibration.guarantee import Promise
from dynasor.calibration.profile import Path
from dynasor.certaindex.entropy import attainable
from dynasor.config import describe

PAPER, OURS, NEIGHBOUR = "paper", "ours", "neighbour"
DETECT_AT = (2, 3, 5, 8)
CURVES_AT = (3, 5)
QUANTILES = (1.0, 0.95)
PRICES = (0.0005, 0.001, 0.002)
CONFIDENCES = (0.8, 0.9, 0.95, 0.99)
WINDOWS = (2, 3, 4, 5, 6, 8, 10)
LENGTH_SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7)
HOPELESS = tuple(Hopeless(floor, patience, detect_at=patience) for floor in (0.2, 0.3, 0.5) for patience in (5, 10))

STATIC, BETA, WINDOW = StaticThreshold(0.7, 5), Beta(0.95), Windows(5)
PAPERS = Candidate("static 0.7 at 5", STATIC)
EVEN = Candidate("even", Even())


@dataclass(frozen=True, slots=True)
class Half:
    """What a choice may look at: one half of the problems, and which division it is of.

    Attributes:
        fitted: what families were fitted to it, so that none is fitted twice.
    """

    replays: Sequence[Replay]
    cap: int
    seed: int
    fitted: dict[object, "Mapping[str, Candidate]"] = field(default_factory=dict)


Settings = Callable[[Half], Mapping[str, Candidate]]
"""The settings of a family, fitted to a half or not; their names are the same for every half."""


@dataclass(frozen=True, slots=True)
class Arm:
    """A family of settings under a name; one setting needs no choice.

    Attributes:
        learns: whether a setting is fitted to the half, and so must not be judged there.
    """

    name: str
    side: str
    settings: Settings
    learns: bool = False


OURS_TUNED = "ours, chosen"


def arms(tolerance: float) -> list[Arm]:
    """All arms; `tolerance` (a share of 1) is what the one with a guarantee promises, with 95 % confidence."""
    return [
        Arm("even", PAPER, _same(EVEN)),
        Arm(PAPERS.text, PAPER, _same(PAPERS)),
        Arm("static, fitted", PAPER, _static),
        Arm("+ initial curve", PAPER, _initial, learns=True),
        Arm("+ every 5 steps", PAPER, _every(5)),
        Arm("+ every step", PAPER, _every(1)),
        Arm("+ dynamic curve", PAPER, _dynamic, learns=True),
        *(arm for arm in every_size() if arm.side == OURS),
        Arm("decided + static", OURS, _joined(_static)),
        Arm("decided + every step", OURS, _joined(_every(1))),
        Arm("decided + dynamic curve", OURS, _joined(_dynamic), learns=True),
        Arm("decided + beta", OURS, _joined(_beta)),
        Arm("decided + lasting", OURS, _joined(_lasting)),
        Arm("decided + gain", OURS, _joined(_gain), learns=True),
        Arm("decided + hopeless", OURS, _joined(_hopeless)),
        Arm("guaranteed", OURS, _guaranteed(Promise(tolerance, 0.95))),
        Arm(OURS_TUNED, OURS, _pool, learns=True),
        Arm("windows of 5", NEIGHBOUR, _same(_named("windows", WINDOW))),
        Arm("windows, fitted", NEIGHBOUR, _windows),
        Arm("beta 0.95", NEIGHBOUR, _same(_named("beta", BETA))),
        Arm("beta, fitted", NEIGHBOUR, _beta),
        Arm("length, fitted", NEIGHBOUR, _length, learns=True),
    ]


def every_size() -> list[Arm]:
    """What needs no choice, for all caps (paper Fig. 8)."""
    fixed = [(PAPER, EVEN), (PAPER, PAPERS), (OURS, DECIDED)]
    joined = Candidate("decided + static 0.7 at 5", FirstToStop((DECIDED.policy, STATIC)))
    likely = Candidate("decided + beta 0.95", FirstToStop((DECIDED.policy, BETA)))
    lasting = Candidate("decided + lasting 0.97", FirstToStop((DECIDED.policy, Lasting(0.97))))
    rules = [(NEIGHBOUR, Candidate("windows of 5", WINDOW)), (NEIGHBOUR, Candidate("beta 0.95", BETA))]
    return [
        Arm(own.text, side, _same(own))
        for side, own in [*fixed, (OURS, joined), (OURS, likely), (OURS, lasting), *rules]
    ]


def sweep(cap: int) -> list[Candidate]:
    """Every attainable threshold at five branches (paper Fig. 12)."""
    values = map(_floored, attainable(STATIC.detect_at)) if cap > STATIC.detect_at else ()
    return [_named("static", StaticThreshold(value, STATIC.detect_at)) for value in values]


def _once(settings: Settings) -> Settings:
    """What fits takes time, and several arms offer it."""

    def known(half: Half) -> Mapping[str, Candidate]:
        if settings not in half.fitted:
            half.fitted[settings] = settings(half)
        return half.fitted[settings]

    return known


def _same(candidate: Candidate) -> Settings:
    return lambda half: {candidate.text: candidate}


def _joined(settings: Settings) -> Settings:
    """Each setting, and `decided` beside it."""
    return lambda half: {name: _with_decided(candidate) for name, candidate in settings(half).items()}


def _with_decided(candidate: Candidate) -> Candidate:
    return Candidate(f"decided+{candidate.text}", FirstToStop((DECIDED.policy, candidate.policy)))


def _named(name: str, policy: Policy) -> Candidate:
    return Candidate(describe(name, policy), policy)


def _listed(name: str, policies: Iterable[Policy]) -> dict[str, Candidate]:
    return {found.text: found for found in (_named(name, policy) for policy in policies)}


def _floored(value: float) -> float:
    """Rounded down, so that the reading itself is certain enough."""
    return int(value * 10_000) / 10_000


def _levels(half: Half) -> Iterator[tuple[int, float]]:
    """The detection steps below the cap, each with the values that certaindex can take there."""
    for detect_at in _steps(half):
        yield from ((detect_at, _floored(value)) for value in attainable(detect_at) if value >= LOWEST)


def _steps(half: Half) -> list[int]:
    return [step for step in DETECT_AT if step < half.cap]


def _curve_steps(half: Half) -> list[int]:
    return [step for step in CURVES_AT if step < half.cap]


def _static(half: Half) -> Mapping[str, Candidate]:
    return _listed("static", (StaticThreshold(value, at) for at, value in _levels(half)))


def _every(step: int) -> Settings:
    return lambda half: _listed("stepped", (SteppedThreshold(value, at, step) for at, value in _levels(half)))


@_once
def _initial(half: Half) -> Mapping[str, Candidate]:
    return {
        f"initial curve at {at}, quantile {share:g}": _curve(initial_curve(half.replays, at, quantile=share))
        for at in _curve_steps(half)
        for share in QUANTILES
    }


@_once
def _dynamic(half: Half) -> Mapping[str, Candidate]:
    return {
        f"dynamic curve at {at}, quantile {share:g}": _curve(dynamic_curve(half.replays, at, 1, quantile=share))
        for at in _curve_steps(half)
        for share in QUANTILES
    }


def _curve(curve: Curve | None) -> Candidate:
    """Where nothing ever stops, even allocation."""
    return EVEN if curve is None else _named("curve", curve)


def _beta(half: Half) -> Mapping[str, Candidate]:
    return _listed("beta", map(Beta, CONFIDENCES))


def _lasting(half: Half) -> Mapping[str, Candidate]:
    return _listed("lasting", map(Lasting, LASTING))


def _windows(half: Half) -> Mapping[str, Candidate]:
    return _listed("windows", map(Windows, WINDOWS))


def _hopeless(half: Half) -> Mapping[str, Candidate]:
    return _listed("hopeless", HOPELESS)


def _length(half: Half) -> Mapping[str, Candidate]:
    """Thresholds that stop these shares of the programs at the detection step."""
    step = min(STATIC.detect_at, half.cap)
    taken = sorted(path.tokens(step) for replay in half.replays for path in replay.paths)
    marks = {share: taken[int(share * (len(taken) - 1))] if share else 0 for share in LENGTH_SHARES}
    return {
        f"length that stops {100 * share:.0f} %": _named("length", Length(mark, step)) for share, mark in marks.items()
    }


@_once
def _gain(half: Half) -> Mapping[str, Candidate]:
    asks = asks_below(half.cap)
    walks = [_walk(replay.id, path, asks) for replay in half.replays for path in replay.paths]
    fitted = {price: fit(walks, asks, half.cap, price=price, caution=Caution()) for price in PRICES}
    return {f"gain {price:g}": Candidate(f"gain {price:g}", policy) for price, policy in fitted.items()}


def _walk(problem: str, path: Path, asks: Sequence[int]) -> Walk:
    states = tuple(State.of(path.progress[ask].votes) for ask in asks)
    return Walk(problem, states, (*(path.right[ask] for ask in asks), path.right[-1]))


def _pool(half: Half) -> Mapping[str, Candidate]:
    """All of ours, and those that stop by expected gain or by odds, whichever comes first."""
    gains, odds = _gain(half), {**_beta(half), **_lasting(half)}
    likely = {
        f"{rule}+{gain}": Candidate(f"{rule}+{gain}", FirstToStop((odds[rule].policy, gains[gain].policy)))
        for rule in odds
        for gain in gains
    }
    families = (_static(half), _every(1)(half), _initial(half), _dynamic(half), odds, gains, likely)
    joined = {f"decided+{name}": _with_decided(own) for family in families for name, own in family.items()}
    return {DECIDED.text: DECIDED} | joined


def _guaranteed(promise: Promise) -> Settings:
    """What `dynasor calibrate` would choose, on this half alone."""
    return lambda half: {"guaranteed": calibrated(half.replays, promise, seed=half.seed).chosen.candidate}
