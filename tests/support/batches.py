"""Batches over small recordings, for tests."""

from collections.abc import Sequence
from pathlib import Path

from dynasor.allocation.allocator import Allocator, InRounds
from dynasor.allocation.baselines import Even
from dynasor.answers.grouping import ByText
from dynasor.datasets.problem import Problem
from dynasor.engines.engine import Engine
from dynasor.engines.recorded import RecordedEngine
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.session import Session
from dynasor.request import Completion, Request, RequestId, Sample
from dynasor.runtime.batch import Batch, BatchPlan
from dynasor.runtime.in_flight import Limits


class StillClock:
    """Time stands still, and nobody waits."""

    def now(self) -> float:
        return 0.0

    async def sleep(self, duration_s: float) -> None:
        pass


def samples_of(count: int, branches: int = 6) -> dict[str, tuple[Sample, ...]]:
    """Problem k answers "a", but every third sample "b"; sample i takes 10 + i tokens."""
    return {
        f"p{k}": tuple(Sample("b" if (i + k) % 3 == 2 else "a", 10 + i) for i in range(branches)) for k in range(count)
    }


def problems_of(count: int) -> list[Problem]:
    return [Problem(f"p{k}", f"question {k}", "a") for k in range(count)]


class Counting:
    """An engine that counts what another one is asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.submitted: list[RequestId] = []
        self.most_running = 0
        self._running = 0
        self.closed = False

    async def check(self) -> None:
        await self._engine.check()

    def submit(self, request: Request) -> None:
        self.submitted.append(request.id)
        self._running += 1
        self.most_running = max(self.most_running, self._running)
        self._engine.submit(request)

    def cancel(self, id: RequestId) -> None:
        self._engine.cancel(id)

    async def ready(self) -> Sequence[Completion]:
        ended = await self._engine.ready()
        self._running -= len(ended)
        return ended

    async def close(self) -> None:
        self.closed = True
        await self._engine.close()


def plan_of(count: int, allocator: Allocator | None = None, cap: int = 6, **changes: object) -> BatchPlan:
    def session(problem: Problem) -> Session:
        return Session(SelfConsistency(problem, Setup(cap=cap, grouping=ByText)), allocator or InRounds(Even()))

    limits = Limits(requests=1000, programs=4)
    made: dict[str, object] = {
        "problems": problems_of(count),
        "session": session,
        "settings": {"cap": cap},
        "cap": cap,
        "limits": limits,
    }
    return BatchPlan(**(made | changes))  # type: ignore[arg-type]


def batch_of(directory: Path, count: int = 10, engine: Engine | None = None, **changes: object) -> Batch:
    return Batch(plan_of(count, **changes), engine or RecordedEngine(samples_of(count)), StillClock(), directory)  # type: ignore[arg-type]
