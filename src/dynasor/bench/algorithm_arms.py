"""The arms of the study of algorithms, as values: what is run live, and which curves are read from each run's journal.

A run of 40 branches holds every smaller one, and every way to choose among them; a sequential tree search of 20
iterations holds every shorter one. So one live run serves many points (see `algorithm_points`). The width of Rebase
decides what is asked for from the second step on: each width is a run of its own, and so is each interval of probes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dynasor.programs.probed import ProbedCot
from dynasor.programs.probing import Probing
from dynasor.programs.program import Program
from dynasor.request import Sampling

SC_CAPS = (1, 3, 5, 10, 15, 20, 25, 30, 35, 40)  # below 5, so that small searches have something to be compared with
WEIGHTED_CAPS = SC_CAPS[2:]
WIDTHS = (4, 8, 16, 32, 64)
ITERATIONS = (3, 5, 10, 15, 20)
WIDE = 8  # steps asked for at a node, so that trees of the built-in model hold 20 candidates
INTERVALS = (8, 16, 32, 64)
SC = "sc"

# Its thoughts end in these words wherever they are cut short; the space belongs to them (MODEL_CARD.md).
PROBE_SUFFIX = "\n</think>\nThe answer is "
SOLUTION = Sampling(temperature=0.8, max_tokens=256, logprobs=True)
THOUGHT = Sampling(temperature=0.8, max_tokens=640)

_SOLUTION_TOKENS, _THOUGHT_TOKENS, _ITERATION_TOKENS = 86.0, 180.0, 55.0  # of a problem, as measured; for estimates


@dataclass(frozen=True, slots=True)
class Reading:
    """One curve that is read from a run's journal.

    Attributes:
        curve: its name; several arms may give points of one curve.
        algorithm: that reads the completions anew, as `wiring` names it; empty: the run's own answers are read.
        scorer: of that algorithm.
        caps: at which the run is cut.
    """

    curve: str
    algorithm: str = ""
    scorer: str = "logprob"
    caps: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One live run.

    Attributes:
        name: of its directory.
        algorithm: as `RunOptions` takes it.
        policy: None: the algorithm's own.
        rewarded: whether the built-in reward model scores.
        thinking: whether the model thinks aloud.
        tokens: a problem is expected to take; for the estimate of the time.
        cost: of a token, as a multiple of one of a plain branch; for the same.
    """

    name: str
    algorithm: str | type[Program]
    cap: int
    policy: str | None = "even"
    rewarded: bool = False
    thinking: bool = False
    tokens: float
    cost: float = 1.0
    readings: tuple[Reading, ...]

    @property
    def scorer(self) -> str:
        """What scores branches and steps."""
        return "reward" if self.rewarded else "logprob"

    @property
    def sampling(self) -> Sampling:
        """How branches are drawn."""
        return THOUGHT if self.thinking else SOLUTION


def full_arms() -> list[Arm]:
    """Every algorithm at the caps of the paper, by reward and without a reward model."""
    return [*server_arms(), *rebases(WIDTHS, rewarded=False), mcts(rewarded=False)]


def server_arms() -> list[Arm]:
    """The same on a slower engine: searches by reward only."""
    searches = [*rebases(WIDTHS, rewarded=True), mcts(rewarded=True), mcts(rewarded=True, expand=WIDE)]
    return [branches(40), plain(), *probed(INTERVALS), guided(32), *searches]


def quick_arms() -> list[Arm]:
    """One small run of each kind."""
    return [branches(10), plain(), *probed((16,)), guided(16), *rebases((4,), rewarded=True), mcts(5, rewarded=True)]


def branches(cap: int) -> Arm:
    """Independent branches, with rewards and log-probabilities: majorities, weighted votes and the best of them."""
    caps, weighted = (tuple(k for k in known if k <= cap) for known in (SC_CAPS, WEIGHTED_CAPS))
    scored = [
        Reading(f"{name}, {scorer}", name, scorer, weighted)
        for name in ("weighted-sc", "best-of-n")
        for scorer in ("reward", "logprob")
    ]
    readings = (Reading(SC, "sc", caps=caps), *scored)
    tokens = cap * _SOLUTION_TOKENS
    return Arm(
        name="branches", algorithm="weighted-sc", cap=cap, rewarded=True, tokens=tokens, cost=1.3, readings=readings
    )


def rebases(widths: Sequence[int], *, rewarded: bool) -> list[Arm]:
    """Rebase at each width: by weighted votes, and by the best path."""
    return [_rebase(width, rewarded=rewarded) for width in widths]


def mcts(cap: int = 20, *, rewarded: bool, expand: int | None = None) -> Arm:
    """Sequential tree search: by votes, as the paper has it, by weighted votes, and by the best path.

    With three steps asked for at a node (None), and equal ones merged, the built-in model's trees end after 4
    candidates.
    """
    scorer = "reward" if rewarded else "logprob"
    caps = tuple(k for k in ITERATIONS if k <= cap)
    kind, settings = (f"mcts of {expand}", [f"expand={expand}"]) if expand else ("mcts", [])
    readings = tuple(
        Reading(f"{kind} {answer}, {scorer}", _mcts(*settings, f"answer={answer}"), scorer, caps)
        for answer in ("votes", "weighted", "best")
    )
    return Arm(
        name=f"{kind.replace(' of ', '-')}-{scorer}",
        algorithm=_mcts(*settings),
        cap=cap,
        rewarded=rewarded,
        tokens=min(cap, 20 if expand else 10) * _ITERATION_TOKENS,
        cost=_cost(rewarded),
        readings=readings,
    )


def probed(intervals: Sequence[int]) -> list[Arm]:
    """One chain of thought, cut once two probes in a row agree."""
    return [_probed(f"probed-{interval}", "probed-cot", interval, None) for interval in intervals]


def guided(interval: int) -> Arm:
    """The same chain, probed and never stopped."""
    return _probed(f"guided-{interval}", "guided", interval, "even")


def plain() -> Arm:
    """One chain of thought, not probed."""
    readings = (Reading("thinking"),)
    return Arm(name="plain", algorithm="sc", cap=1, thinking=True, tokens=_THOUGHT_TOKENS, readings=readings)


def _rebase(width: int, *, rewarded: bool) -> Arm:
    scorer = "reward" if rewarded else "logprob"
    readings = tuple(
        Reading(f"rebase {answer}, {scorer}", f"rebase:answer={answer}", scorer, (width,))
        for answer in ("weighted", "best")
    )
    return Arm(
        name=f"rebase-{width}-{scorer}",
        algorithm="rebase",
        cap=width,
        rewarded=rewarded,
        tokens=width * _SOLUTION_TOKENS,
        cost=_cost(rewarded),
        readings=readings,
    )


def _mcts(*settings: str) -> str:
    """The algorithm, as `wiring` names it."""
    return f"mcts:{','.join(settings)}" if settings else "mcts"


def _probed(name: str, curve: str, interval: int, policy: str | None) -> Arm:
    """A probe asks for one number; a chain has as many rounds as fit into its longest length."""
    settings = Probing(interval=interval, suffix=PROBE_SUFFIX, tokens=8)
    return Arm(
        name=name,
        algorithm=ProbedCot.with_settings(settings),
        cap=-(-THOUGHT.max_tokens // interval),
        policy=policy,
        thinking=True,
        tokens=_THOUGHT_TOKENS,
        cost=1.5,
        readings=(Reading(curve),),
    )


def _cost(rewarded: bool) -> float:
    """A step reads its prompt anew, and the reward model reads it once more."""
    return 4.5 if rewarded else 2.0
