"""How much the batch runner itself costs: an engine that answers at once, and nothing else to wait for.

Each size runs in a process of its own, so that its memory is its own. Beside every batch the same sessions are driven
without dispatcher, event loop and journal: that is the floor below which no runner can get.
"""

import asyncio
import resource
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from dynasor.allocation.allocator import InRounds
from dynasor.allocation.progress import Policy
from dynasor.answers.grouping import ByText
from dynasor.clock import WallClock
from dynasor.datasets.problem import Problem
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.session import Session
from dynasor.request import Completion, Recorded, Request, RequestId
from dynasor.runtime.batch import Batch, BatchPlan
from dynasor.runtime.drive import drive
from dynasor.runtime.in_flight import Limits

SIZES = (10, 1_000, 100_000)
CAP = 20


class Measured(msgspec.Struct, frozen=True):
    """One run: wall seconds of the batch, and the process's peak resident memory.

    `floor_us_per_branch` is what the sessions take by themselves, and `ratio` how many times that the batch takes.
    """

    problems: int
    branches: int
    seconds: float
    programs_per_s: float
    us_per_branch: float
    floor_us_per_branch: float
    ratio: float
    journal_mib: float
    peak_mib: float


class InstantEngine:
    """Answers at once; three branches of four agree."""

    def __init__(self) -> None:
        self._ended: deque[Completion] = deque()
        self.count = 0

    async def check(self) -> None:
        """Nothing can be wrong with it."""

    def submit(self, request: Request) -> None:
        """Answer."""
        self.count += 1
        answer = "7" if request.id.index % 4 else str(request.id.index)
        self._ended.append(Completion(id=request.id, text="The answer is 7.", tokens=100, recorded=Recorded(answer)))

    def cancel(self, id: RequestId) -> None:
        """Nothing runs for long enough."""

    def take(self) -> Sequence[Completion]:
        """Whatever was asked since."""
        ended = list(self._ended)
        self._ended.clear()
        return ended

    async def ready(self) -> Sequence[Completion]:
        """The same, for a host that waits."""
        return self.take()

    async def close(self) -> None:
        """Nothing is open."""


def measure_in_process(problem_count: int, policy: Policy) -> Measured:
    """Run a batch of made-up problems in this process, journal and all, and then the sessions by themselves."""
    engine, clock = InstantEngine(), WallClock()

    def session(problem: Problem) -> Session:
        return Session(SelfConsistency(problem, Setup(cap=CAP, grouping=ByText)), InRounds(policy))

    plan = BatchPlan(problems=_problems(problem_count), session=session, settings={}, cap=CAP, limits=Limits(64, 64))
    with tempfile.TemporaryDirectory() as name:
        batch = Batch(plan, engine, clock, Path(name))
        began = clock.now()
        asyncio.run(batch.run())
        seconds = clock.now() - began
        journal = sum(file.stat().st_size for file in Path(name).iterdir())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    branches, began = engine.count, clock.now()
    for problem in _problems(problem_count):
        drive(session(problem), engine)
    floor_s = clock.now() - began
    return Measured(
        problems=problem_count,
        branches=branches,
        seconds=seconds,
        programs_per_s=problem_count / seconds,
        us_per_branch=1e6 * seconds / branches,
        floor_us_per_branch=1e6 * floor_s / branches,
        ratio=seconds / floor_s,
        journal_mib=journal / 2**20,
        peak_mib=peak / 2**10,
    )


def _problems(count: int) -> Iterator[Problem]:
    return (Problem(f"made-up-{n}", "How many?", "7") for n in range(count))


def measure(problem_count: int, policy: str) -> Measured:
    """The same in a fresh process."""
    command = [sys.executable, "-m", "dynasor", "bench", "runner", "--one", str(problem_count), "--policy", policy]
    done = subprocess.run(command, capture_output=True, check=True)  # noqa: S603
    return msgspec.json.decode(done.stdout, type=Measured)
