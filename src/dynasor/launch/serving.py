"""A gateway from its settings: the concrete parts are named and joined here, and nowhere else."""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from dynasor.clock import Clock, WallClock
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.engines.embedded_server import LlamaServer
from dynasor.errors import MissingExtra
from dynasor.gateway import openapi
from dynasor.gateway.admission import Admission
from dynasor.gateway.app import Gateway, Route
from dynasor.gateway.backends import Backends
from dynasor.gateway.batches.store import store_at
from dynasor.gateway.client_programs import ClientPrograms
from dynasor.gateway.completions import Completions
from dynasor.gateway.dashboard.door import DashboardDoor
from dynasor.gateway.dashboard.routes import Dashboard
from dynasor.gateway.draining import Draining
from dynasor.gateway.keys import Keys
from dynasor.gateway.logs import Fields
from dynasor.gateway.metrics_door import KEY_VARIABLE, MetricsDoor
from dynasor.gateway.observation import Observation
from dynasor.gateway.reasoning import Reasoning
from dynasor.gateway.settings import GatewaySettings
from dynasor.gateway.standing import MODELS, PROGRAMS, Standing
from dynasor.gateway.trace_settings import collector_url
from dynasor.launch.answering import Answering, door_of, make_answering, make_core
from dynasor.launch.backing import addresses_of, make_backing
from dynasor.launch.batching import make_batching
from dynasor.launch.reasoning import algorithm_names
from dynasor.launch.reasoning_engines import check_reasoning
from dynasor.launch.tracing import make_tracing
from dynasor.wiring import make_scheduler

_SWEEP_S = 1.0


@dataclass(slots=True)
class Serving:
    """A gateway that is ready to serve.

    Attributes:
        gateway: the application.
        reasoning: runs programs for requests that ask for them.
        observation: of every exchange, for whoever wants to be told.
        model: what answers in this process, where there is no backend; it is to be freed.
    """

    settings: GatewaySettings
    gateway: Gateway
    backends: Backends
    admission: Admission
    draining: Draining
    reasoning: Reasoning
    observation: Observation
    model: LlamaServer | None = None


def check(settings: GatewaySettings, environ: Mapping[str, str] = os.environ) -> None:
    """Judge settings, and ask nobody.

    Raises:
        UsageError: a setting cannot be.
    """
    make_scheduler(settings.ordering)
    check_reasoning(settings.reasoning)
    door_of(settings)
    _metrics_door(settings, environ)
    addresses_of(settings, environ)
    collector_url(settings.traces, environ)
    if settings.batches.store:
        store_at(settings.batches.store)


def prepare(
    settings: GatewaySettings,
    environ: Mapping[str, str] = os.environ,
    model: EmbeddedModel | None = None,
    clock: Clock | None = None,
    log: Callable[[Fields], None] | None = None,
) -> Serving:
    """Put a gateway together; a model that answers in this process is loaded now.

    Args:
        settings: of the gateway.
        environ: where the backends' keys are, and that of the metrics.
        model: answers where there is no backend; None: the built-in one.
        clock: of all instants.
        log: writes a line; None: there is no log.

    Raises:
        MissingExtra: something that it needs is not installed.
        UsageError: a setting cannot be.
    """
    _listening()
    check(settings, environ)
    clock = clock or WallClock()
    backing, tracing = make_backing(settings, environ, model), make_tracing(settings, environ, clock)
    core = make_core(settings, backing, clock)
    answering = make_answering(core, backing, tracing, log)
    batching = make_batching(settings, answering.parts)
    routes = {**_routes(answering), **batching.routes, **_seen_from_outside(answering, environ)}

    async def start(resources: AsyncExitStack) -> None:
        if tracing is not None:
            resources.push_async_callback(asyncio.to_thread, tracing.close)
        resources.push_async_callback(core.backends.close)
        resources.push_async_callback(answering.engines.close)
        resources.push_async_callback(answering.reasoning.hosts.close)
        await core.backends.examine()
        for work in (core.backends.watch(), answering.patience.watch(), _sweep(core.admission.programs, clock)):
            resources.push_async_callback(_cancelled, asyncio.ensure_future(work))
        await batching.start(resources)

    observation = answering.observation
    gateway = Gateway(observation.routes(routes), start, observation.ended)
    if batching.app is not None:
        batching.app.open = gateway.open  # told to end, it waits for what batches have under way too
    return Serving(
        settings, gateway, core.backends, core.admission, core.draining, answering.reasoning, observation, backing.model
    )


def serve(serving: Serving, listens: Callable[[int], None]) -> None:
    """Serve until told to end. `listens` is told the port, once it does.

    Raises:
        DynasorError: it cannot listen there.
    """
    settings, library = serving.settings, _listening()
    where = library.Listening(
        host=settings.host,
        port=settings.port,
        connections=settings.connections,
        at_backends=settings.running * len(serving.backends.all),
        grace_s=settings.grace_s,
    )
    try:
        library.GatewayServer(serving.gateway, serving.draining, where, settings.limits).run_until_told(listens)
    finally:
        if serving.model is not None:
            serving.model.free()


def _listening() -> ModuleType:
    return _library("listening")


def _library(name: str) -> ModuleType:
    """A part of the gateway that needs its extra."""
    try:
        return import_module(f"dynasor.gateway.{name}")
    except ImportError as missing:
        raise MissingExtra("dynasor serve", "gateway") from missing


def _routes(answering: Answering) -> dict[tuple[str, str], Route]:
    """What OpenAI's API has, and health."""
    core = answering.core
    settings, door, draining, clock = core.settings, core.door, core.draining, core.clock
    suffixes = sorted(algorithm_names()) if settings.reasoning.listed else ()
    standing = Standing(core.backends, core.admission.programs, door, draining, clock, suffixes)
    completions = Completions(
        answering.answer, answering.turn, door, settings.limits, draining, clock, answering.observation.called
    )
    return {
        ("POST", "/v1/chat/completions"): completions,
        ("POST", "/v1/completions"): completions,
        ("GET", MODELS): standing.models,
        ("GET", f"{MODELS}/"): standing.model,
        ("GET", PROGRAMS): standing.program,
        ("POST", PROGRAMS): standing.close,
        ("GET", "/health"): standing.health,
        ("GET", "/ready"): standing.ready,
        ("GET", openapi.PATH): openapi.Description(keys=isinstance(door, Keys)),
    }


def _seen_from_outside(answering: Answering, environ: Mapping[str, str]) -> dict[tuple[str, str], Route]:
    """Metrics, and the dashboard where it is wanted."""
    core = answering.core
    settings, library, reasoning = core.settings, _library("metrics"), answering.reasoning
    present = library.Present(core.backends, core.admission, lambda: reasoning.hosts.services)
    metrics = library.Metrics(_metrics_door(settings, environ), answering.served, answering.ran, present)
    if not settings.dashboard.enabled:
        return {("GET", "/metrics"): metrics}
    eyes = DashboardDoor(core.door, environ.get(KEY_VARIABLE, ""), settings.host)
    dashboard = Dashboard(settings, eyes, core.admission, core.draining, core.clock)
    dashboard.follow(reasoning, answering.observation)
    return {("GET", "/metrics"): metrics, **dashboard.routes()}


def _metrics_door(settings: GatewaySettings, environ: Mapping[str, str]) -> MetricsDoor:
    return MetricsDoor(environ.get(KEY_VARIABLE, ""), settings.host)


async def _sweep(programs: ClientPrograms, clock: Clock) -> None:
    while True:
        await clock.sleep(_SWEEP_S)
        programs.expire(clock.now())


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
