"""Live programs and the same programs simulated: how far the simulated latencies are off.

Programs come to a live engine at instants of its clock; then the answers that it gave are replayed on the model, at the
same instants and under the same policy. Knows no engine: first come, first served on both sides.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import msgspec

from dynasor.clock import Clock
from dynasor.engines.engine import Engine
from dynasor.errors import EngineError
from dynasor.programs.session import Cancel, Effect, Finished, Session, Submit
from dynasor.request import Completion, Finish, ProgramId, Sample
from dynasor.scheduling.fcfs import Fcfs
from dynasor.simulation.fleet import Fleet
from dynasor.simulation.host import simulate
from dynasor.simulation.models import Model
from dynasor.simulation.outcome import quantile
from dynasor.simulation.plan import PlannedProgram, SimulationPlan


@dataclass(slots=True)
class Lived:
    """A program that was served live: when it came and ended, and what each of its requests gave."""

    arrived_at: float
    ended_at: float = 0.0
    prompt_tokens: int = 1
    samples: dict[int, Sample] = field(default_factory=dict)


class Fidelity(msgspec.Struct, frozen=True, kw_only=True):
    """Latencies of programs in seconds, live and simulated, and the errors of mean and P90."""

    programs: int
    requests: int
    tokens: int
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


SessionOf = Callable[[int], Session]
"""Makes the session of program number i; twice, once for each side."""


async def compared(
    engine: Engine, clock: Clock, session: SessionOf, arrivals: Iterable[float], model: Model
) -> Fidelity:
    """Serve programs live, then in virtual time.

    Raises:
        EngineError: where a request fails: it would be compared with nothing.
    """
    lived = await _Live(engine, clock).run([(instant, session(i)) for i, instant in enumerate(arrivals)])
    fleet = Fleet(
        cost=model.cost,
        cache_tokens=model.cache_tokens,
        ordering=lambda cached_tokens: Fcfs(),
        limits=model.limits,
        request_s=model.request_s,
    )
    rows = simulate(SimulationPlan([_replayed(one, i, session) for i, one in enumerate(lived)], fleet)).rows
    live = sorted(one.ended_at - one.arrived_at for one in lived)
    virtual = sorted(row.latency_s for row in rows)
    return Fidelity(
        programs=len(lived),
        requests=sum(len(one.samples) for one in lived),
        tokens=sum(sample.tokens for one in lived for sample in one.samples.values()),
        live_mean_s=fmean(live),
        live_p90_s=quantile(live, 0.9),
        simulated_mean_s=fmean(virtual),
        simulated_p90_s=quantile(virtual, 0.9),
    )


def _replayed(lived: Lived, number: int, session: SessionOf) -> PlannedProgram:
    return PlannedProgram(
        arrives_at=lived.arrived_at,
        session=lambda: session(number),
        samples=[lived.samples[index] for index in sorted(lived.samples)],
        prompt_tokens=lived.prompt_tokens,
    )


class _Live:
    """Sessions straight on an engine, which orders what waits by itself."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock
        self._sessions: dict[ProgramId, Session] = {}
        self._lived: dict[ProgramId, Lived] = {}
        self._began = 0.0

    async def run(self, programs: Sequence[tuple[float, Session]]) -> list[Lived]:
        self._began = self._clock.now()
        arrivals = asyncio.create_task(self._arrive(programs))
        try:
            while not arrivals.done() or self._sessions:
                for completion in await self._engine.ready():
                    self._land(completion)
            await arrivals
        finally:
            arrivals.cancel()
        return [self._lived[session.program.id] for _, session in programs]

    async def _arrive(self, programs: Sequence[tuple[float, Session]]) -> None:
        for instant, session in programs:
            await self._clock.sleep(max(0.0, instant - self._now))
            self._sessions[session.program.id] = session
            self._lived[session.program.id] = Lived(self._now)
            self._apply(session, session.start(self._now))

    @property
    def _now(self) -> float:
        return self._clock.now() - self._began

    def _land(self, completion: Completion) -> None:
        if completion.finish is Finish.FAILED:
            raise EngineError(f"a request failed: {completion.error}", retryable=completion.retryable)
        session, lived = self._sessions[completion.id.program], self._lived[completion.id.program]
        answer = session.program.answer_of(completion)
        lived.samples[completion.id.index] = Sample(answer, max(1, completion.tokens or 0))
        lived.prompt_tokens = completion.prompt_tokens or lived.prompt_tokens
        self._apply(session, session.land(completion, self._now))

    def _apply(self, session: Session, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Submit(requests):
                    for request in requests:
                        self._engine.submit(request)
                case Cancel(cut):
                    for id in cut:
                        self._engine.cancel(id)
                case Finished():
                    self._lived[session.program.id].ended_at = self._now
                    del self._sessions[session.program.id]
