"""Live programs and the same programs simulated: how far the simulated latencies are off.

Programs come to a live engine at instants of its clock; then the answers that it gave are replayed on the model, at the
same instants, under the same policy, with the scheduler at the same place. Knows no engine.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

import msgspec

from dynasor.clock import Clock
from dynasor.engines.engine import Engine
from dynasor.errors import EngineError
from dynasor.programs.session import Session
from dynasor.request import Completion, Finish, ProgramId, Sample
from dynasor.runtime.dispatcher import Dispatcher
from dynasor.runtime.events import BranchLanded, Event, ProgramEnded, ProgramStalled
from dynasor.runtime.in_flight import Limits
from dynasor.scheduling.ordering import Ordering
from dynasor.scheduling.scheduler import Scheduler
from dynasor.simulation.cost import CostModel
from dynasor.simulation.fit import Timing, simulated_s
from dynasor.simulation.fleet import Fleet
from dynasor.simulation.host import simulate
from dynasor.simulation.measure import Experiment, Probe
from dynasor.simulation.models import Model
from dynasor.simulation.outcome import quantile
from dynasor.simulation.plan import PlannedProgram, SimulationPlan

ALL = 1024
"""Requests that are let through to an engine that orders them itself."""

_LOOKS = 3


@dataclass(frozen=True, slots=True)
class Place:
    """Who orders what waits.

    Attributes:
        ordering: of the scheduler in front.
        front_limit: how many requests it lets through at a time; None: all, which the engine serves as they come.
    """

    ordering: Ordering
    front_limit: int | None = None


@dataclass(slots=True)
class Lived:
    """A program that was served live: when it came and ended, and what each of its requests gave."""

    arrived_at: float
    ended_at: float = 0.0
    prompt_tokens: int = 1
    samples: dict[int, Sample] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Latencies of programs in seconds, live and simulated, program by program.

    Attributes:
        utilisation: of the simulated engine; near 1, a small error of a step is a great one of a latency.
    """

    live: tuple[float, ...]
    simulated: tuple[float, ...]
    requests: int
    tokens: int
    utilisation: float


class Fidelity(msgspec.Struct, frozen=True, kw_only=True):
    """Latencies of programs in seconds, live and simulated, and what was served."""

    programs: int
    requests: int
    tokens: int
    utilisation: float
    live_mean_s: float
    live_p90_s: float
    simulated_mean_s: float
    simulated_p90_s: float

    @property
    def mean_error(self) -> float:
        """Of the mean, relative to the live one."""
        return self.simulated_mean_s / self.live_mean_s - 1

    @property
    def p90_error(self) -> float:
        """Of the ninetieth percentile, relative to the live one."""
        return self.simulated_p90_s / self.live_p90_s - 1


def pooled(runs: Sequence[Pairs]) -> Fidelity:
    """The programs of several runs as if of one."""
    live = sorted(latency for run in runs for latency in run.live)
    virtual = sorted(latency for run in runs for latency in run.simulated)
    return Fidelity(
        programs=len(live),
        requests=sum(run.requests for run in runs),
        tokens=sum(run.tokens for run in runs),
        utilisation=fmean(run.utilisation for run in runs),
        live_mean_s=fmean(live),
        live_p90_s=quantile(live, 0.9),
        simulated_mean_s=fmean(virtual),
        simulated_p90_s=quantile(virtual, 0.9),
    )


SessionOf = Callable[[int], Session]
"""Makes the session of program number i; twice, once for each side."""


async def served(
    engine: Engine, clock: Clock, session: SessionOf, arrivals: Iterable[float], place: Place
) -> list[Lived]:
    """Serve programs live.

    Raises:
        EngineError: where a request fails: it would be compared with nothing.
    """
    return await _Live(engine, clock, place).run([(instant, session(i)) for i, instant in enumerate(arrivals)])


def replayed(lived: Sequence[Lived], session: SessionOf, model: Model, place: Place) -> Pairs:
    """The same programs in virtual time, beside how they were served live."""
    run = simulate(SimulationPlan([_replayed(one, i, session) for i, one in enumerate(lived)], _fleet(model, place)))
    ended = {row.program: row.latency_s for row in run.rows}
    return Pairs(
        live=tuple(one.ended_at - one.arrived_at for one in lived),
        simulated=tuple(ended[session(i).program.id] for i in range(len(lived))),
        requests=sum(len(one.samples) for one in lived),
        tokens=sum(sample.tokens for one in lived for sample in one.samples.values()),
        utilisation=float(run.summary()["utilisation"] or 0.0),
    )


async def capacity_of(
    engine: Engine, clock: Clock, session: SessionOf, programs: int, model: Model, place: Place
) -> float:
    """Programs a second that the model serves where so many come at once; their answers are the live engine's.

    Raises:
        EngineError: where a request fails.
    """
    burst = await served(engine, clock, session, [0.0] * programs, place)
    return programs / max(replayed(burst, session, model, place).simulated)


async def pace_of(engine: Engine, clock: Clock, model: Model) -> float:
    """How many times as long as the model says a few experiments take now: 1 where nothing has changed since the fit.

    Raises:
        EngineError: where the engine does not do its part.
    """
    sizes = sorted({1, max(1, min(8, model.limits.sequences) // 2)})
    timings = await Probe(engine, clock).timings([Experiment(size, 16, 24) for size in sizes], _LOOKS)
    return fmean(timing.duration_s / _told_s(timing, model) for timing in timings)


def at_pace(model: Model, pace: float) -> Model:
    """The model of a machine that takes so many times as long for all that it does."""
    return replace(
        model, cost=_Slowed(model.cost, pace), request_s=pace * model.request_s, entry_s=pace * model.entry_s
    )


@dataclass(frozen=True, slots=True)
class _Slowed:
    cost: CostModel
    pace: float

    @property
    def kv_token_ps(self) -> int:
        return round(self.pace * self.cost.kv_token_ps)

    def step_ps(self, decoding: int, prompt_tokens: int, pairs: int) -> int:
        return round(self.pace * self.cost.step_ps(decoding, prompt_tokens, pairs))


def _told_s(timing: Timing, model: Model) -> float:
    return simulated_s(timing, model.cost, model.limits, entry_s=model.entry_s, request_s=model.request_s)


def _fleet(model: Model, place: Place) -> Fleet:
    return Fleet(
        cost=model.cost,
        cache_tokens=model.cache_tokens,
        ordering=lambda cached_tokens: place.ordering,
        limits=model.limits,
        front_limit=place.front_limit or ALL,
        keeps_live=False,
        request_s=model.request_s,
        entry_s=model.entry_s,
        block_tokens=model.block_tokens,
        shares_prefixes=model.shares_prefixes,
    )


def _replayed(lived: Lived, number: int, session: SessionOf) -> PlannedProgram:
    return PlannedProgram(
        arrives_at=lived.arrived_at,
        session=lambda: session(number),
        samples=[lived.samples[index] for index in sorted(lived.samples)],
        prompt_tokens=lived.prompt_tokens,
    )


class _Live:
    """Sessions on an engine, through the dispatcher that serves them in runs."""

    def __init__(self, engine: Engine, clock: Clock, place: Place) -> None:
        limits = Limits(requests=place.front_limit or ALL, programs=1 << 30)
        self._clock = clock
        self._dispatcher = Dispatcher(engine, clock, limits, Scheduler(place.ordering))
        self._lived: dict[ProgramId, Lived] = {}
        self._came = asyncio.Event()
        self._began = 0.0

    async def run(self, programs: Sequence[tuple[float, Session]]) -> list[Lived]:
        self._began = self._clock.now()
        arrivals = asyncio.create_task(self._arrive(programs))
        try:
            while not (arrivals.done() and self._dispatcher.idle):
                if self._dispatcher.idle:
                    self._came.clear()
                    await self._came.wait()
                for event in await self._dispatcher.step():
                    self._take(event)
            await arrivals
        finally:
            arrivals.cancel()
        return [self._lived[session.program.id] for _, session in programs]

    async def _arrive(self, programs: Sequence[tuple[float, Session]]) -> None:
        try:
            for instant, session in programs:
                await self._clock.sleep(max(0.0, instant - self._now))
                self._lived[session.program.id] = Lived(self._now)
                self._dispatcher.start(session)
                self._came.set()
        finally:
            self._came.set()

    @property
    def _now(self) -> float:
        return self._clock.now() - self._began

    def _take(self, event: Event) -> None:
        match event:
            case BranchLanded(program, completion):
                self._keep(self._lived[program.id], completion, program.answer_of(completion))
            case ProgramEnded(program, _):
                self._lived[program.id].ended_at = self._now
            case ProgramStalled(_, fault):
                raise EngineError(f"a request failed: {fault}", retryable=True)

    def _keep(self, lived: Lived, completion: Completion, answer: str | None) -> None:
        if completion.finish is Finish.FAILED:
            raise EngineError(f"a request failed: {completion.error}", retryable=completion.retryable)
        lived.samples[completion.id.index] = Sample(answer, max(1, completion.tokens or 0))
        lived.prompt_tokens = completion.prompt_tokens or lived.prompt_tokens
