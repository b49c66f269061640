"""The batches of a gateway from its settings: the store, the routes, and the work beside them, joined here."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from types import ModuleType

from dynasor.clock import Clock, utc_timestamp
from dynasor.gateway.admission import Admission
from dynasor.gateway.app import Gateway, Route
from dynasor.gateway.batches.asking import Asking, BatchDoor, batch_tenant
from dynasor.gateway.batches.chores import Chores
from dynasor.gateway.batches.input_lines import ENDPOINTS
from dynasor.gateway.batches.paths import BATCHES, FILES
from dynasor.gateway.batches.runner import Runner, Surroundings
from dynasor.gateway.batches.store import DatabaseStore, store_at
from dynasor.gateway.batches.switched_off import SwitchedOff
from dynasor.gateway.call import Call
from dynasor.gateway.completions import Completions
from dynasor.gateway.draining import Draining
from dynasor.gateway.keys import Doorkeeper
from dynasor.gateway.observation import Observation
from dynasor.gateway.settings import GatewaySettings
from dynasor.gateway.tenants import OPEN, Tenant

_PATHS = (
    *(("POST", FILES), ("GET", FILES), ("GET", f"{FILES}/"), ("DELETE", f"{FILES}/")),
    *(("POST", BATCHES), ("GET", BATCHES), ("GET", f"{BATCHES}/"), ("POST", f"{BATCHES}/")),
)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a gateway that batches go through.

    Attributes:
        answer: answers a call whose turn has come.
        turn: of a call.
        places: requests at the backends at one time.
    """

    answer: Callable[[Call], Awaitable[None]]
    turn: Callable[[Call], AbstractAsyncContextManager[None]]
    admission: Admission
    door: Doorkeeper
    draining: Draining
    observation: Observation
    clock: Clock
    places: int


@dataclass(frozen=True, slots=True)
class Batching:
    """Batches that are ready to be served.

    Attributes:
        routes: of files and batches.
        app: what items are asked of; whoever counts open exchanges counts those of both.
    """

    routes: Mapping[tuple[str, str], Route]
    app: Gateway | None = None
    store: DatabaseStore | None = None
    runner: Runner | None = None
    owner: str = ""
    lease_s: float = 0.0

    async def start(self, resources: AsyncExitStack) -> None:
        """Open the store and go on with what is in it.

        Raises:
            DynasorError: the store cannot be opened.
        """
        if self.store is None or self.runner is None:
            return
        resources.push_async_callback(self.store.close)
        await self.store.open(self.owner, self.lease_s)
        for work in (self.runner.beat(), self.runner.purge(), self.runner.work()):
            resources.push_async_callback(_cancelled, asyncio.ensure_future(work))


def make_batching(settings: GatewaySettings, parts: Parts) -> Batching:
    """The batches of a gateway; without a store, routes that tell how to get one.

    Raises:
        UsageError: the store cannot be, or what it needs is not installed.
    """
    told = settings.batches
    if not told.store:
        off = SwitchedOff(parts.door)
        return Batching(dict.fromkeys(_PATHS, off))
    store, owner, app = store_at(told.store), f"gateway_{secrets.token_hex(8)}", _app(settings, parts)
    chores = Chores(store, owner, told, settings.limits, epoch_s)
    runner = Runner(store, Asking(app), chores, owner, told, _surroundings(settings, parts), parts.clock, epoch_s)
    files = _library("file_routes").FileRoutes(store, owner, told, parts.door, parts.draining, epoch_s)
    batches = _library("batch_routes").BatchRoutes(store, told, parts.door, parts.draining, epoch_s, runner.wake)
    routes = (
        *(files.upload, files.listing, files.get, files.delete),
        *(batches.create, batches.listing, batches.get, batches.cancel),
    )
    return Batching(dict(zip(_PATHS, routes, strict=True)), app, store, runner, owner, told.lease_s)


def _library(name: str) -> ModuleType:
    """A part that needs an extra."""
    return import_module(f"dynasor.gateway.batches.{name}")


def epoch_s() -> int:
    """Whole seconds of the epoch."""
    return int(datetime.fromisoformat(utc_timestamp()).timestamp())


def _app(settings: GatewaySettings, parts: Parts) -> Gateway:
    """What answers items: the routes of a client, behind another door."""
    door = BatchDoor(
        {name: batch_tenant(tenant, settings.batches.share) for name, tenant in _tenants(settings).items()}
    )
    completions = Completions(
        parts.answer, parts.turn, door, settings.limits, parts.draining, parts.clock, parts.observation.called
    )
    routes = parts.observation.routes({("POST", endpoint): completions for endpoint in ENDPOINTS})
    return Gateway(routes, _start_nothing, parts.observation.ended)


def _surroundings(settings: GatewaySettings, parts: Parts) -> Surroundings:
    """Batches take at most half of the places, so that others need not wait until one of their requests ends."""
    tenants, admission = _tenants(settings), parts.admission
    places = (parts.places, settings.reasoning.programs)
    return Surroundings(
        tenants=tenants,
        concurrency=max(1, min(settings.batches.concurrency, *(place // 2 for place in places))),
        quota_wait_s=lambda name: admission.quota(tenants[name]).wait_s(parts.clock.now()),
        may_start=lambda: not parts.draining.begun,
    )


def _tenants(settings: GatewaySettings) -> dict[str, Tenant]:
    if any(tenant.key_hashes for tenant in settings.tenants):
        return {tenant.name: tenant for tenant in settings.tenants}
    return {OPEN: Tenant(name=OPEN)}


async def _start_nothing(_: AsyncExitStack) -> None:
    """It was started with the gateway."""


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
