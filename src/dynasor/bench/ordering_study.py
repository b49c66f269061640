"""Which ordering to put in front of an engine: recorded programs that arrive at random, in virtual time.

The engine has so many places, and serves every request that has one at the same speed; what waits is the dispatcher's,
in the ordering that is studied. Programs come as a Poisson process, as many as take a share of the engine's tokens. The
latency of a program is from its arrival to its answer.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from heapq import heappop, heappush
from itertools import accumulate
from math import ceil, fsum
from random import Random

import msgspec

from dynasor.allocation.allocator import InRounds
from dynasor.allocation.progress import Policy
from dynasor.answers.grouping import ByText
from dynasor.datasets.problem import Problem, Recording
from dynasor.engines.recorded import RecordedEngine
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.session import Session
from dynasor.request import Completion, Finish, Recorded, Request, RequestId, Sample
from dynasor.runtime.dispatcher import Dispatcher
from dynasor.runtime.drive import drive
from dynasor.runtime.events import ProgramEnded
from dynasor.runtime.in_flight import Limits
from dynasor.scheduling.specification import make_scheduler

TOKENS_PER_S = 50.0
"""Of one request."""


class OrderingRow(msgspec.Struct, frozen=True):
    """One ordering at one load. Latencies in seconds; `order` is the seed of arrivals and of samples."""

    ordering: str
    load: float
    order: int
    programs: int
    mean_s: float
    p50_s: float
    p90_s: float
    p99_s: float
    longest_s: float


class PlacedRecording:
    """A recorded engine with places, and its own clock: a request that is started takes its tokens' time."""

    def __init__(self, samples: Mapping[str, Sequence[Sample]]) -> None:
        self._samples = samples
        self._now = 0.0
        self._due: list[tuple[float, int, RequestId]] = []
        self._began: dict[RequestId, tuple[float, Sample]] = {}
        self._ended: list[Completion] = []
        self._count = 0

    def now(self) -> float:
        """Virtual seconds."""
        return self._now

    async def sleep(self, duration_s: float) -> None:
        """Nobody waits here."""

    async def check(self) -> None:
        """Nothing can be wrong with it."""

    def submit(self, request: Request) -> None:
        """Start a request."""
        sample = self._samples[request.id.program][request.id.index]
        self._began[request.id] = (self._now, sample)
        self._count += 1
        heappush(self._due, (self._now + sample.tokens / TOKENS_PER_S, self._count, request.id))

    def cancel(self, id: RequestId) -> None:
        """Cut a request now."""
        if (running := self._began.pop(id, None)) is not None:
            tokens = round((self._now - running[0]) * TOKENS_PER_S)
            self._ended.append(Completion(id=id, finish=Finish.CANCELLED, tokens=tokens))

    def next_end(self) -> float | None:
        """When the next request ends."""
        while self._due and self._due[0][2] not in self._began:
            heappop(self._due)
        return self._due[0][0] if self._due else None

    def wait_until(self, instant: float) -> None:
        """Let time pass in which nothing ends."""
        self._now = instant

    async def ready(self) -> Sequence[Completion]:
        """The next that ends."""
        if not self._ended and self.next_end() is not None:
            self._now, _, id = heappop(self._due)
            sample = self._began.pop(id)[1]
            self._ended.append(Completion(id=id, tokens=sample.tokens, recorded=Recorded(sample.answer)))
        ended, self._ended = self._ended, []
        return ended

    async def close(self) -> None:
        """Nothing is open."""


class OrderingPlan(msgspec.Struct, frozen=True):
    """What is studied.

    Attributes:
        loads: shares of the engine's tokens that the programs take under their policy.
        orders: seeds of arrivals and of samples.
        slots: places at the engine.
    """

    orderings: tuple[str, ...]
    loads: tuple[float, ...]
    orders: int
    cap: int
    slots: int


def run_orderings(recordings: Sequence[Recording], policy: Policy, plan: OrderingPlan) -> Iterator[OrderingRow]:
    """Every ordering at every load, on the same arrivals and the same samples."""
    for order in range(plan.orders):
        traffic = _Traffic(recordings, policy, order, plan)
        for load in plan.loads:
            arrivals = traffic.arrivals(load)
            for ordering in plan.orderings:
                latencies = asyncio.run(_latencies(ordering, traffic, arrivals))
                yield _row(ordering, load, order, sorted(latencies))


class _Traffic:
    """The programs of one order: what they are answered, and how many come in a second at a load."""

    def __init__(self, recordings: Sequence[Recording], policy: Policy, order: int, plan: OrderingPlan) -> None:
        rng = Random(f"orderings/{order}")
        self._rng, self._policy, self.plan = rng, policy, plan
        self.samples = {r.problem.id: rng.sample(r.samples, len(r.samples)) for r in recordings}
        self._problems = rng.sample([r.problem for r in recordings], len(recordings))
        engine = RecordedEngine(self.samples)
        self._mean_tokens = fsum(drive(self.session(p), engine).tokens for p in self._problems) / len(self._problems)

    def session(self, problem: Problem) -> Session:
        setup = Setup(cap=self.plan.cap, grouping=ByText)
        return Session(SelfConsistency(problem, setup), InRounds(self._policy))

    def arrivals(self, load: float) -> list[tuple[float, Problem]]:
        """A Poisson process of as many programs a second as fill this share of the engine."""
        per_s = load * self.plan.slots * TOKENS_PER_S / self._mean_tokens
        instants = accumulate(self._rng.expovariate(per_s) for _ in self._problems)
        return list(zip(instants, self._problems, strict=True))


async def _latencies(ordering: str, traffic: _Traffic, arrivals: Sequence[tuple[float, Problem]]) -> list[float]:
    engine = PlacedRecording(traffic.samples)
    dispatcher = Dispatcher(engine, engine, Limits(traffic.plan.slots, 1 << 30), make_scheduler(ordering)[0])
    coming = deque(arrivals)
    came = {problem.id: instant for instant, problem in arrivals}
    latencies: list[float] = []
    while coming or not dispatcher.idle:
        end = engine.next_end()
        if coming and (end is None or coming[0][0] < end):
            instant, problem = coming.popleft()
            engine.wait_until(instant)
            dispatcher.start(traffic.session(problem))
        else:
            events = await dispatcher.step()
            latencies += [engine.now() - came[e.program.id] for e in events if isinstance(e, ProgramEnded)]
    return latencies


def _row(ordering: str, load: float, order: int, latencies: Sequence[float]) -> OrderingRow:
    p50_s, p90_s, p99_s = (latencies[ceil(share * len(latencies)) - 1] for share in (0.5, 0.9, 0.99))
    mean_s = fsum(latencies) / len(latencies)
    return OrderingRow(ordering, load, order, len(latencies), mean_s, p50_s, p90_s, p99_s, latencies[-1])
