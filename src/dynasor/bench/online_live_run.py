"""One point of the online evaluation on an engine that works in real time: programs come, are served, and are judged.

Programs come when they come, however late the others are, and their latency counts from the instant at which they were
to. It knows no server: whoever answers is a `Station`.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dynasor.allocation.allocator import Allocator, InFlight, InRounds
from dynasor.allocation.overload import DEADLINE, Overload
from dynasor.allocation.progress import Policy
from dynasor.bench.online_live_journal import PointJournal
from dynasor.bench.online_live_rows import LivePoint, LiveRow, Work
from dynasor.bench.online_live_workload import Coming
from dynasor.bench.process_time import Times, cpu_s, waited_share
from dynasor.clock import Clock
from dynasor.datasets.problem import judge
from dynasor.engines.engine import Engine
from dynasor.errors import EngineError
from dynasor.programs.program import Setup
from dynasor.programs.prompt import PromptTemplate
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.session import Outcome
from dynasor.request import Sampling
from dynasor.runtime.contained import ContainedSession
from dynasor.runtime.in_flight import Limits
from dynasor.runtime.service import Service
from dynasor.runtime.ticket import Ticket
from dynasor.wiring import make_policy, make_scheduler

SAMPLING = Sampling(temperature=0.8, max_tokens=256)
_PROMPT = PromptTemplate("{question}", "", True)
_ALL = 1 << 20  # requests and programs: the engine orders them
_OVER = 8  # one more than each so many sequences: a dispatcher that orders keeps the engine just full
_READ_S = 1.0


@dataclass(frozen=True, slots=True)
class Reading:
    """An engine's counters at an instant."""

    at: float
    steps: float
    tokens: float
    prompt_tokens: float = 0.0
    hit_tokens: float = 0.0
    preemptions: float = 0.0


class Station(Protocol):
    """Where points are served."""

    async def prepare(self, point: LivePoint) -> None:
        """Wait until nothing of the last point is left, and have the engine order as this one asks."""
        ...

    def engine(self, point: LivePoint) -> Engine:
        """An engine for one point; whoever asked closes it."""
        ...

    async def read(self, point: LivePoint) -> Reading:
        """The counters of the engine that serves a point."""
        ...

    def times(self, point: LivePoint) -> Times:
        """What its threads have computed."""
        ...


@dataclass(frozen=True, slots=True)
class Served:
    """A program that has answered."""

    coming: Coming
    came_at: float
    outcome: Outcome


async def measure(station: Station, clock: Clock, point: LivePoint, coming: Sequence[Coming], journal: Path) -> LiveRow:
    """Serve the programs of a point, and keep a journal of them.

    Raises:
        EngineError: the engine let a program down; the point is to be measured anew.
    """
    await station.prepare(point)
    engine = station.engine(point)
    times, meter = station.times(point), _Meter(station, clock, point)
    await meter.read()
    watching = asyncio.ensure_future(meter.watch())
    try:
        with PointJournal(journal, point) as journaled:
            served = await _serve(engine, clock, point, coming, journaled)
        await meter.read()
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        await engine.close()
    readings = sorted(meter.readings, key=lambda reading: reading.at)
    return _row(point, served, readings, times, station.times(point))


class _Meter:
    """Readings of the counters, about one a second."""

    def __init__(self, station: Station, clock: Clock, point: LivePoint) -> None:
        self._station, self._clock, self._point = station, clock, point
        self.readings: list[Reading] = []

    async def read(self) -> None:
        self.readings.append(await self._station.read(self._point))

    async def watch(self) -> None:
        while True:
            await self._clock.sleep(_READ_S)
            with suppress(EngineError):  # it is busy; the next reading tells the more
                await self.read()


async def _serve(
    engine: Engine, clock: Clock, point: LivePoint, coming: Sequence[Coming], journal: PointJournal
) -> list[Served]:
    sessions = _Sessions(point)
    requests = point.slots + point.slots // _OVER if point.due else _ALL
    scheduler = make_scheduler(point.ordering)[0] if point.due else None
    service = Service(engine, clock, Limits(requests=requests, programs=_ALL), scheduler, sessions.overload)
    service.listeners.append(journal.take)
    tickets: list[tuple[Coming, float, Ticket]] = []
    started_at = clock.now()
    for each in coming:
        came_at = started_at + each.at_s
        await clock.sleep(max(0.0, came_at - clock.now()))
        session = sessions.session(each)
        tickets.append((each, came_at, service.submit(session, data_set="words", deadline=came_at + each.within_s)))
    served = [Served(each, came_at, await ticket.outcome()) for each, came_at, ticket in tickets]
    await service.close()
    return served


class _Sessions:
    """What makes the programs of a point."""

    def __init__(self, point: LivePoint) -> None:
        self._setup = Setup(cap=point.cap, prompt=_PROMPT, sampling=SAMPLING, seed=point.seed)
        self._policy: Policy = make_policy(point.policy)[0]
        self._in_flight = point.in_flight
        self.overload = Overload() if point.due else None

    def session(self, coming: Coming) -> ContainedSession:
        program = SelfConsistency(coming.problem, self._setup)
        allocator: Allocator = InFlight(self._policy) if self._in_flight else InRounds(self._policy)
        if self.overload is not None:
            allocator = self.overload.due(program.id, coming.within_s, allocator)
        return ContainedSession(program, allocator)


def _row(
    point: LivePoint, served: Sequence[Served], readings: Sequence[Reading], before: Times, after: Times
) -> LiveRow:
    steps = Steps(readings)
    outcomes = [each.outcome for each in served]
    return LiveRow(
        point=point,
        latency_s=[_kept(each.outcome.finished_at - each.came_at) for each in served],
        latency_steps=[round(steps.at(each.outcome.finished_at) - steps.at(each.came_at), 1) for each in served],
        within_s=[_kept(each.coming.within_s) for each in served],
        tokens=[outcome.tokens for outcome in outcomes],
        knob=[outcome.knob for outcome in outcomes],
        right=[judge(each.coming.problem, each.outcome.answer) or 0.0 for each in served],
        even_tokens=[each.coming.even_tokens for each in served],
        less=sum(outcome.stopped_by == DEADLINE for outcome in outcomes),
        work=_work(readings, before, after),
    )


def _work(readings: Sequence[Reading], before: Times, after: Times) -> Work:
    first, last = readings[0], readings[-1]
    return Work(
        wall_s=_kept(last.at - first.at),
        steps=round(last.steps - first.steps),
        tokens=round(last.tokens - first.tokens),
        prompt_tokens=round(last.prompt_tokens - first.prompt_tokens),
        hit_tokens=round(last.hit_tokens - first.hit_tokens),
        preemptions=round(last.preemptions - first.preemptions),
        cpu_s=_kept(cpu_s(before, after)),
        waited=_kept(waited_share(before, after)),
    )


class Steps:
    """How many steps an engine had made at an instant, between readings taken to be even."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._readings = list(readings)
        self._at = [reading.at for reading in readings]

    def at(self, instant: float) -> float:
        """Steps; those of the first reading before it, and of the last behind it."""
        place = bisect_right(self._at, instant)
        if place == 0 or place == len(self._at):
            return self._readings[min(place, len(self._at) - 1)].steps
        left, right = self._readings[place - 1], self._readings[place]
        return left.steps + (right.steps - left.steps) * (instant - left.at) / (right.at - left.at)


def _kept(value: float) -> float:
    """Five digits: a row is of one run, and says nothing beyond."""
    return float(f"{value:.5g}")
