"""What ordering costs: programs that all wait, in front of an engine that answers at once.

The processor's time for one event, which is one request started or one landed, with 10, 1,000 and 100,000 requests
waiting: program, session, dispatcher and scheduler together. The orderings take turns, and the ratio to first come,
first served is what the order costs, on any machine.
"""

import asyncio
import resource
from statistics import median

import msgspec

from dynasor.allocation.allocator import InRounds
from dynasor.allocation.baselines import Even
from dynasor.answers.grouping import ByText
from dynasor.bench.runner_speed import InstantEngine
from dynasor.clock import WallClock
from dynasor.datasets.problem import Problem
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.session import Session
from dynasor.runtime.dispatcher import Dispatcher
from dynasor.runtime.in_flight import Limits
from dynasor.scheduling.scheduler import Scheduler
from dynasor.scheduling.specification import make_scheduler

WAITING = (10, 1_000, 100_000)
ORDERINGS = ("fcfs", "gang+sjf", "dynasor")
CAP = 10
_STEPS, _SLOTS = 200, 16


class QueueMeasured(msgspec.Struct, frozen=True):
    """One ordering at one length of the queue; a ratio is to first come, first served."""

    waiting: int
    ordering: str
    us_per_event: float
    ratio: float


def measure_queue(waiting: int, repeats: int) -> list[QueueMeasured]:
    """The median of some repeats of every ordering, in turns."""
    found: dict[str, list[float]] = {ordering: [] for ordering in ORDERINGS}
    for _ in range(repeats):
        for ordering in ORDERINGS:
            found[ordering].append(asyncio.run(_measured(waiting, make_scheduler(ordering)[0])))
    costs = {ordering: median(us) for ordering, us in found.items()}
    return [QueueMeasured(waiting, ordering, us, us / costs["fcfs"]) for ordering, us in costs.items()]


async def _measured(waiting: int, scheduler: Scheduler) -> float:
    """Microseconds an event, while the queue stays about as long."""
    engine = InstantEngine()
    dispatcher = Dispatcher(engine, WallClock(), Limits(_SLOTS, 1 << 30), scheduler)
    setup = Setup(cap=CAP, grouping=ByText)
    count = 0
    while dispatcher.request_count < waiting + _SLOTS:
        dispatcher.start(_session(count, setup))
        count += 1
    before, began_s = engine.count, _processor_s()
    for _ in range(_STEPS):
        await dispatcher.step()
        while dispatcher.request_count < waiting:
            dispatcher.start(_session(count, setup))
            count += 1
    return 1e6 * (_processor_s() - began_s) / (2 * (engine.count - before))


def _processor_s() -> float:
    """What this process has used; the machine's other work does not count."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _session(number: int, setup: Setup) -> Session:
    return Session(SelfConsistency(Problem(f"made-up-{number}", "How many?", None), setup), InRounds(Even()))
