"""Runs the items of batches: takes them from the store, asks this gateway, and commits what came of each.

It takes no more than may be under way at one time, waits where it is told to wait, and stops what nobody wants any
more. What it holds in memory may be lost at any instant: the store knows which items have not ended.
"""

import asyncio
import heapq
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from dynasor.clock import Clock
from dynasor.errors import EngineError
from dynasor.gateway.batches import batch_rows, gateway_rows, item_rows
from dynasor.gateway.batches.asking import Answered, Cut
from dynasor.gateway.batches.batch_rows import Live
from dynasor.gateway.batches.chores import Chores
from dynasor.gateway.batches.finishing import Finishing
from dynasor.gateway.batches.output_lines import answered
from dynasor.gateway.batches.records import Batch, Item
from dynasor.gateway.batches.retries import wait_s
from dynasor.gateway.batches.settings import BatchSettings
from dynasor.gateway.batches.sharing import next_batch
from dynasor.gateway.batches.store import Store
from dynasor.gateway.tenants import Tenant

_LOG = logging.getLogger("dynasor.gateway")
_LOOK_S = 1.0
_PURGE_S = 600.0
_ENDING_S = 5.0  # for what is cut, and for the last commits


class Ask(Protocol):
    """Asks this gateway; see `asking.Asking`."""

    def __call__(self, tenant: str, path: str, body: bytes, request_id: str, cut: Cut) -> Awaitable[Answered | None]:
        """The answer; None where it was cut."""
        ...


@dataclass(slots=True, eq=False)
class Running:
    """An item that this gateway has.

    Attributes:
        attempts: how often it was asked.
    """

    item: Item
    live: Live
    attempts: int = 0
    cut: Cut = field(default_factory=Cut)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a runner needs to know of the gateway that it is in.

    Attributes:
        tenants: those that are known, by name.
        concurrency: items under way at one time.
        quota_wait_s: seconds until a tenant may ask once more.
        may_start: whether new requests are taken.
    """

    tenants: Mapping[str, Tenant]
    concurrency: int
    quota_wait_s: Callable[[str], float]
    may_start: Callable[[], bool]


class Runner:
    """Used within one event loop."""

    def __init__(
        self, store: Store, ask: Ask, chores: Chores, owner: str, settings: BatchSettings, around: Surroundings,
        clock: Clock, epoch: Callable[[], int],
    ) -> None:  # fmt: skip
        """Nothing runs yet.

        Args:
            store: holds everything.
            ask: answers an item.
            chores: what is to be done with whole batches.
            owner: this gateway.
            settings: of batches.
            around: the gateway.
            clock: of what is waited for.
            epoch: seconds of the epoch.
        """
        self._store, self._ask, self._chores, self._owner = store, ask, chores, owner
        self._settings, self._around, self._clock, self._epoch = settings, around, clock, epoch
        self._running: dict[Running, asyncio.Task[None]] = {}
        self._ready: dict[str, deque[Running]] = {}  # claimed, to be asked again
        self._parked: list[tuple[float, int, Running]] = []  # claimed, to be asked again when it is time
        self._numbers = count()
        self._exhausted: set[str] = set()
        self._paused_until: dict[str, float] = {}  # by tenant
        self._live: dict[str, Live] = {}
        self._chore: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._look_at = 0.0
        self._is_unsure = False
        self._finishing = Finishing(store, clock, epoch, self.wake)

    def wake(self) -> None:
        """Something in the store has changed."""
        self._look_at = 0.0
        self._wake.set()

    async def work(self) -> None:
        """Run items, until cancelled; then all that runs is cut, and will run again."""
        try:
            while True:
                self._wake.clear()
                try:
                    if self._clock.now() >= self._look_at:
                        self._look_at = self._clock.now() + _LOOK_S
                        await self._look()
                    await self._start_all()
                except EngineError as fault:
                    _LOG.warning("batches wait for their store: %s", fault)
                    self._is_unsure = True
                await self._sleep()
        finally:
            await self._end()

    async def beat(self) -> None:
        """Tell the other gateways that this one lives, and take over from those that do not, until cancelled."""
        while True:
            with suppress(EngineError):
                await self._store.write(lambda sql: gateway_rows.beat(sql, self._owner, self._settings.lease_s))
                await self._store.write(gateway_rows.bury)
            await self._clock.sleep(self._settings.lease_s / 3)

    async def purge(self) -> None:
        """Delete what was kept long enough, now and then, until cancelled."""
        while True:
            with suppress(EngineError):
                await self._chores.purge()
            await self._clock.sleep(_PURGE_S)

    async def _look(self) -> None:
        """What there is to do; what nobody wants any more is cut."""
        if self._is_unsure:
            await self._agree()
        if self._chore is None and self._around.may_start():
            batch = await self._chores.take()
            if batch is not None:
                self._chore = asyncio.get_running_loop().create_task(self._do(batch))
        self._exhausted.clear()
        live = await self._store.read(lambda sql: batch_rows.live(sql, self._epoch()))
        self._live = {batch.id: batch for batch in live}
        for running in self._running:
            if running.item.batch not in self._live:
                running.cut()
        self._ready = {id: ready for id, ready in self._ready.items() if id in self._live}
        self._parked = [parked for parked in self._parked if parked[2].item.batch in self._live]
        heapq.heapify(self._parked)

    async def _agree(self) -> None:
        """After the store has failed, perhaps behind a commit: what is ours there and not here is nobody's again."""
        here = [*self._running, *(held for ready in self._ready.values() for held in ready)]
        here += [running for _, _, running in self._parked]
        held = {(running.item.batch, running.item.place) for running in here}
        await self._store.write(lambda sql: item_rows.keep_only(sql, self._owner, held))
        if self._chore is None:
            await self._store.write(lambda sql: batch_rows.end_chores(sql, self._owner))
            self._is_unsure = False

    async def _do(self, batch: Batch) -> None:
        try:
            await self._chores.do(batch)
        except EngineError as fault:
            _LOG.warning("a batch waits for its store: %s", fault)
            self._is_unsure = True
        finally:
            self._chore = None
            self.wake()

    async def _start_all(self) -> None:
        """Start what may start. A tenant's quota is looked at before each: what is sure to be refused is not asked."""
        self._unpark()
        while self._around.may_start() and len(self._running) < self._around.concurrency:
            batch = next_batch(list(self._live.values()), self._counts(), self._around.tenants, self._passed_over())
            if batch is None:
                return
            if not self._ready.get(batch.id) and not await self._claim(batch):
                self._exhausted.add(batch.id)
                continue
            quota_wait_s = self._around.quota_wait_s(batch.tenant)
            if quota_wait_s > 0:
                self._pause(batch.tenant, quota_wait_s)
                continue
            self._start(self._ready[batch.id].popleft())
            await self._clock.sleep(0)  # it comes as far as the quota before the next one is judged

    async def _claim(self, batch: Live) -> bool:
        free = self._around.concurrency - len(self._running)
        tenants = {other.tenant for other in self._live.values()}
        most = max(1, free // len(tenants))
        items = await self._store.write(lambda sql: item_rows.claim(sql, self._owner, batch.id, most))
        self._ready.setdefault(batch.id, deque()).extend(Running(item, batch) for item in items)
        return bool(items)

    def _start(self, running: Running) -> None:
        self._running[running] = asyncio.get_running_loop().create_task(self._run(running))

    async def _run(self, running: Running) -> None:
        item, live = running.item, running.live
        running.attempts += 1
        try:
            told = await self._ask(live.tenant, live.endpoint, item.body, item.id, running.cut)
            if told is None:
                return  # its batch goes on no more, or this gateway does not
            again_s = wait_s(told, running.attempts)
            if again_s is None:
                await self._finishing.finish(answered(item, told.status, told.body, _request_id(told, item)))
            else:
                self._put_off(running, told.status, again_s)
        finally:
            del self._running[running]
            self._wake.set()

    def _put_off(self, running: Running, status: int, again_s: float) -> None:
        if running.item.batch not in self._live:
            return
        if status == 429:
            self._pause(running.live.tenant, again_s)
            self._ready.setdefault(running.item.batch, deque()).append(running)
        else:
            due_at = self._clock.now() + again_s
            heapq.heappush(self._parked, (due_at, next(self._numbers), running))

    def _pause(self, tenant: str, wait_s: float) -> None:
        self._paused_until[tenant] = max(self._paused_until.get(tenant, 0.0), self._clock.now() + wait_s)

    def _unpark(self) -> None:
        now = self._clock.now()
        while self._parked and self._parked[0][0] <= now:
            _, _, running = heapq.heappop(self._parked)
            self._ready.setdefault(running.item.batch, deque()).append(running)
        self._paused_until = {tenant: until for tenant, until in self._paused_until.items() if until > now}

    def _passed_over(self) -> set[str]:
        """Batches that have nothing to give at present: their tenant must wait, or too many of their items do."""
        parked = Counter(running.item.batch for _, _, running in self._parked)
        crowded = {id for id, waiting in parked.items() if waiting >= self._around.concurrency}
        empty = {id for id in self._exhausted | crowded if not self._ready.get(id)}
        return empty | {batch.id for batch in self._live.values() if batch.tenant in self._paused_until}

    def _counts(self) -> Counter[str]:
        return Counter(running.live.tenant for running in self._running)

    async def _sleep(self) -> None:
        """Until something changes, or it is time to look anyhow."""
        dues = [self._look_at, *self._paused_until.values(), *(parked[0] for parked in self._parked[:1])]
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, min(dues) - self._clock.now())):
                await self._wake.wait()

    async def _end(self) -> None:
        """Cut everything, and leave what has not ended to whoever comes next."""
        for running in self._running:
            running.cut()
        tasks = [*self._running.values(), *([] if self._chore is None else [self._chore])]
        if self._chore is not None:
            self._chore.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_ENDING_S)
        await self._finishing.close()
        with suppress(EngineError):
            await self._store.write(lambda sql: gateway_rows.leave(sql, self._owner))


def _request_id(told: Answered, item: Item) -> str:
    """The backend's own, where it has one."""
    return told.headers.get(b"x-request-id", item.id.encode()).decode("latin-1")
