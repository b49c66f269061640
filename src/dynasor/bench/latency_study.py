"""What fine-grained allocation costs in latency, live (paper 6.4, Table 4): the same problems under each policy.

Problems come in small blocks, and all arms answer a block before the next one, in turning order: so a machine that is
slow for a while is slow for all. It knows no engine by name.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass

from dynasor.allocation.allocator import Allocator, InFlight, InRounds
from dynasor.allocation.baselines import Beta, Even
from dynasor.allocation.compose import FirstToStop
from dynasor.allocation.decided import Decided
from dynasor.allocation.lasting import Lasting
from dynasor.allocation.progress import Policy
from dynasor.allocation.threshold import StaticThreshold, SteppedThreshold
from dynasor.calibration.fit import dynamic_curve, initial_curve
from dynasor.calibration.profile import ProblemProfile
from dynasor.clock import Clock
from dynasor.datasets.problem import Problem, judge
from dynasor.engines.engine import Engine
from dynasor.errors import EngineError
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.session import Outcome, Session
from dynasor.runtime.dispatcher import Dispatcher
from dynasor.runtime.events import ProgramEnded, ProgramStalled
from dynasor.runtime.in_flight import Limits

DETECT_AT = 5
THRESHOLD = 0.7
QUANTILE = 0.95
_BLOCK = 4


@dataclass(frozen=True, slots=True)
class LatencyArm:
    """A policy, and how its grants are spent."""

    name: str
    policy: Policy
    host: Callable[[Policy], Allocator] = InRounds


@dataclass(frozen=True, slots=True)
class Answered:
    """One program under one arm.

    Attributes:
        latency_s: from its start to its answer.
        correct: in [0, 1].
    """

    arm: str
    problem: str
    latency_s: float
    tokens: int
    correct: float


def latency_arms(profiles: Sequence[ProblemProfile]) -> list[LatencyArm]:
    """The rows of Table 4 and ours; curves are fitted to profiles of other problems than are to be answered.

    A curve under which nothing would ever stop is even allocation, and left out.
    """
    static = StaticThreshold(THRESHOLD, DETECT_AT)
    initial = initial_curve(profiles, DETECT_AT, quantile=QUANTILE)
    dynamic = dynamic_curve(profiles, DETECT_AT, 1, quantile=QUANTILE)
    sure = FirstToStop((Decided(), static))
    likely = FirstToStop((Decided(), Beta()))
    lasting = FirstToStop((Decided(), Lasting(0.97)))
    paper: list[tuple[str, Policy | None]] = [
        ("even", Even()),
        ("static 0.7 at 5", static),
        ("+ initial curve", initial),
        ("+ every 5 steps", SteppedThreshold(THRESHOLD, DETECT_AT, 5)),
        ("+ every step", SteppedThreshold(THRESHOLD, DETECT_AT, 1)),
        ("+ dynamic curve", dynamic),
        ("decided + static", sure),
        ("decided + beta", likely),
        ("decided + lasting", lasting),
    ]
    rounds = [LatencyArm(name, policy) for name, policy in paper if policy is not None]
    flights = (
        ("static 0.7 at 5", static),
        ("decided", Decided()),
        ("decided + static", sure),
        ("decided + beta", likely),
        ("decided + lasting", lasting),
    )
    return rounds + [LatencyArm(f"{name}, in flight", policy, InFlight) for name, policy in flights]


async def answered(
    engine: Engine, clock: Clock, setup: Setup, arms: Sequence[LatencyArm], problems: Sequence[Problem], at_once: int
) -> AsyncIterator[Answered]:
    """Answer all problems under all arms, so many programs at a time.

    Raises:
        EngineError: the engine let a program down.
    """
    size = max(_BLOCK, at_once)
    for turn, begin in enumerate(range(0, len(problems), size)):
        block = problems[begin : begin + size]
        for place in range(len(arms)):
            arm = arms[(place + turn) % len(arms)]
            for problem, outcome in await _block(engine, clock, setup, arm, block, at_once):
                latency_s = outcome.finished_at - outcome.started_at
                correct = judge(problem, outcome.answer) or 0.0
                yield Answered(arm.name, problem.id, latency_s, outcome.tokens, correct)


async def _block(
    engine: Engine, clock: Clock, setup: Setup, arm: LatencyArm, block: Sequence[Problem], at_once: int
) -> list[tuple[Problem, Outcome]]:
    dispatcher = Dispatcher(engine, clock, Limits(requests=at_once * setup.cap, programs=at_once))
    waiting = iter(block)
    ended: list[tuple[Problem, Outcome]] = []
    _admit(dispatcher, setup, arm, waiting)
    while not dispatcher.idle:
        for event in await dispatcher.step():
            if isinstance(event, ProgramStalled):
                raise EngineError(f"a program stalled: {event.fault}", retryable=True)
            if isinstance(event, ProgramEnded):
                ended.append((event.program.problem, event.outcome))
        _admit(dispatcher, setup, arm, waiting)
    return ended


def _admit(dispatcher: Dispatcher, setup: Setup, arm: LatencyArm, waiting: Iterator[Problem]) -> None:
    while dispatcher.has_room and (problem := next(waiting, None)) is not None:
        dispatcher.start(Session(SelfConsistency(problem, setup), arm.host(arm.policy)))
