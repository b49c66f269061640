"""One replica with its scheduler: requests go in, and whoever submits is told what became of each.

The scheduler stands inside the engine, or in front of one that is first come, first served. A station can die and come
back; it knows no sessions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import msgspec

from dynasor.request import Finish, RequestId
from dynasor.scheduling.scheduler import Scheduler
from dynasor.scheduling.waiting import Waiting
from dynasor.simulation.accelerator import Accelerator
from dynasor.simulation.fleet import Fleet
from dynasor.simulation.kernel import SECOND, Kernel, picoseconds
from dynasor.simulation.kv_cache import KvCache
from dynasor.simulation.replica import Replica
from dynasor.simulation.requests import Served, SimulatedRequest
from dynasor.simulation.scheduled import ProgramEviction, ScheduledOrder, add_to
from dynasor.simulation.stepping import Stepping


@dataclass(slots=True)
class Work:
    """What accelerators have done, added up."""

    steps: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    preemptions: int = 0
    asked_tokens: int = 0
    hit_tokens: int = 0
    evicted_blocks: int = 0
    busy_s: float = 0.0

    def add(self, accelerator: Stepping) -> None:
        """Take in what one has done."""
        cache = accelerator.cache
        self.steps += accelerator.steps
        self.prompt_tokens += accelerator.prompt_tokens
        self.output_tokens += accelerator.output_tokens
        self.preemptions += accelerator.preemptions
        self.asked_tokens += cache.asked_tokens
        self.hit_tokens += cache.hit_tokens
        self.evicted_blocks += cache.evicted_blocks
        self.busy_s += accelerator.busy / SECOND


class Station:
    """A replica that is scheduled inside its engine.

    Attributes:
        scheduler: of its requests; a host tells it of programs.
        is_up: whether it lives.
    """

    def __init__(
        self,
        kernel: Kernel,
        fleet: Fleet,
        on_end: Callable[[Served], None],
        on_growth: Callable[[RequestId, int], None],
    ) -> None:
        self._kernel, self._fleet, self._on_end, self._on_growth = kernel, fleet, on_end, on_growth
        self._told: dict[RequestId, int] = {}  # generated tokens of requests that run, as far as they are known
        self._here: dict[RequestId, SimulatedRequest] = {}
        self._done = Work()
        self.is_up = True
        self._boot()

    @property
    def load(self) -> int:
        """Requests that are here."""
        return len(self._here)

    @property
    def work(self) -> Work:
        """What it has done, in this life and in earlier ones."""
        work = Work(**{name: getattr(self._done, name) for name in Work.__slots__})
        work.add(self._accelerator)
        return work

    def submit(self, request: SimulatedRequest) -> None:
        """A request comes."""
        self._here[request.id] = request
        self._replica.submit(request)

    def cancel(self, id: RequestId) -> None:
        """Cut a request; one that has ended is left."""
        self._replica.cancel(id)

    def die(self) -> list[SimulatedRequest]:
        """All is lost; returns the requests that were here, in the order in which they came."""
        lost = list(self._here.values())
        self._here.clear()
        self._told.clear()
        self._replica.stop()
        self._done.add(self._accelerator)
        self.is_up = False
        self._boot()
        return lost

    def come_back(self) -> None:
        """It lives again, with nothing in memory."""
        self.is_up = True

    def _boot(self) -> None:
        fleet = self._fleet
        ordering = fleet.ordering(self._cached_tokens)
        self.scheduler = Scheduler(ordering)
        eviction = ProgramEviction(self.scheduler) if fleet.keeps_live else None
        cache = KvCache(max(1, fleet.cache_tokens // fleet.block_tokens), fleet.block_tokens, eviction)
        order = ScheduledOrder(self.scheduler, ordering, eviction)
        self._run(Accelerator(fleet.cost, cache, fleet.limits, order, order.last))

    def _run(self, accelerator: Stepping) -> None:
        self._accelerator = accelerator
        entry_ps = picoseconds(self._fleet.entry_s)
        self._replica = Replica(self._kernel, accelerator, self._ended, entry_ps, self._grew)

    def _ended(self, served: Served) -> None:
        self._told.pop(served.id, None)
        if self._here.pop(served.id, None) is not None:  # else it was lost before anybody could be told
            self._on_end(served)

    def _grew(self, id: RequestId, tokens: int) -> None:
        self.scheduler.served(id, tokens - self._told.get(id, 0), self._kernel.now_s)
        self._told[id] = tokens
        self._on_growth(id, tokens)

    def _cached_tokens(self, waiting: Waiting) -> int:
        cache = self._accelerator.cache
        return cache.blocks_of(waiting.program) * cache.block_tokens


class FrontedStation(Station):
    """A replica that is scheduled in front of its engine, which holds so many requests at a time."""

    def _boot(self) -> None:
        fleet = self._fleet
        self.scheduler = Scheduler(fleet.ordering(self._cached_tokens))
        self._filling = False
        cache = KvCache(max(1, fleet.cache_tokens // fleet.block_tokens), fleet.block_tokens)
        self._run((fleet.engine or Accelerator)(fleet.cost, cache, fleet.limits))

    def submit(self, request: SimulatedRequest) -> None:
        """A request comes, and waits in front."""
        self._here[request.id] = request
        add_to(self.scheduler, request, self._kernel.now_s)
        self._fill_later()

    def cancel(self, id: RequestId) -> None:
        """Cut a request, in front or in the engine."""
        now = self._kernel.now_s
        if id in self._here and not self._replica.has(id):
            del self._here[id]
            self.scheduler.remove(id, now)
            unstarted = Served.unstarted(id, now)
            self._kernel.at(self._kernel.now, lambda: self._on_end(unstarted))
        else:
            self._replica.cancel(id)

    def _ended(self, served: Served) -> None:
        if served.id in self._here:
            if served.finish is Finish.STOP:
                self.scheduler.finish(served.id, served.tokens, served.ended_at)
            else:
                self.scheduler.remove(served.id, served.ended_at)
            self._fill_later()
        super()._ended(served)

    def _fill_later(self) -> None:
        """Once all that comes at this instant has come."""
        if not self._filling:
            self._filling = True
            scheduler = self.scheduler
            self._kernel.last(lambda: self._fill(scheduler))

    def _fill(self, scheduler: Scheduler) -> None:
        if scheduler is not self.scheduler:  # it died in the meantime
            return
        self._filling = False
        limit = self._fleet.front_limit or 1
        now = self._kernel.now_s
        while scheduler.running_count < limit and (waiting := scheduler.next(now)) is not None:
            remaining = scheduler.table[waiting.program].remaining_tokens
            request = self._here[cast(RequestId, waiting.id)]
            self._replica.submit(msgspec.structs.replace(request, remaining_tokens=remaining))
