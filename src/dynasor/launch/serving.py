"""A gateway from its settings: the concrete parts are named and joined here, and nowhere else."""

import asyncio
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from dynasor.clock import Clock, WallClock
from dynasor.engines.embedded_file import read_gguf
from dynasor.engines.embedded_memory import available_bytes, check_memory
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.engines.embedded_server import LlamaServer, Loading
from dynasor.engines.endpoint import Endpoint
from dynasor.errors import MissingExtra, UsageError
from dynasor.gateway import openapi
from dynasor.gateway.admission import Admission
from dynasor.gateway.app import Gateway, Route
from dynasor.gateway.backends import Backends
from dynasor.gateway.batches.store import store_at
from dynasor.gateway.call import Call
from dynasor.gateway.client_programs import ClientPrograms
from dynasor.gateway.completions import Completions
from dynasor.gateway.dashboard.door import DashboardDoor
from dynasor.gateway.dashboard.routes import Dashboard
from dynasor.gateway.draining import Draining
from dynasor.gateway.keys import Doorkeeper, Everybody, Keys
from dynasor.gateway.logs import ExchangeLog, Fields
from dynasor.gateway.metrics_door import KEY_VARIABLE, MetricsDoor
from dynasor.gateway.observation import Observation
from dynasor.gateway.patience import Patience
from dynasor.gateway.plain import PassOn
from dynasor.gateway.program_counts import ProgramCounts
from dynasor.gateway.reasoning import Reasoning
from dynasor.gateway.request_counts import RequestCounts
from dynasor.gateway.settings import BackendSettings, GatewaySettings
from dynasor.gateway.standing import MODELS, PROGRAMS, Standing
from dynasor.gateway.trace_settings import collector_url
from dynasor.gateway.turns import Turns
from dynasor.gateway.upstream import Upstream
from dynasor.launch.batching import Parts, make_batching
from dynasor.launch.reasoning import algorithm_names
from dynasor.launch.reasoning_engines import Engines, check_reasoning, make_reasoning
from dynasor.launch.tracing import make_tracing
from dynasor.wiring import make_scheduler

_SWEEP_S = 1.0
_SPARE_THREADS = 4  # of the embedded server: for health checks beside requests


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
    _door(settings)
    _metrics_door(settings, environ)
    _addresses(settings, environ)
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
    upstreams, llama = _upstreams(settings, environ, model)
    backends, draining, door = Backends(upstreams, clock), Draining(), _door(settings)
    slots = llama.slot_count if llama else None
    most = settings.running * len(upstreams) if slots is None else min(settings.running, slots)
    turns = Turns(most, lambda: make_scheduler(settings.ordering)[0])
    programs = ClientPrograms(turns, settings.program_idle_s)
    admission = Admission(turns, programs, clock)
    patience = Patience(clock, min(settings.timeouts.first_token_s, settings.timeouts.idle_s))
    tracing = make_tracing(settings, environ, clock)
    engines = Engines(settings, _asked_at(upstreams), admission, backends, slots=slots, attempts=tracing)
    served, ran = (
        RequestCounts(lambda model: any(model in backend.models for backend in backends.all)),
        ProgramCounts(settings.reasoning, clock),
    )
    answer = make_reasoning(settings, engines, clock, PassOn(backends, settings.timeouts, patience), ran.sessions)
    answer.hosts.listeners.append(ran.take)
    observation = Observation(clock, served.take, *([] if log is None else [ExchangeLog(log).take]))
    if tracing is not None:
        tracing.follow(answer, observation)
    turn, answered = _turns(admission, answer), answer if tracing is None else tracing.answer(answer)
    completions = Completions(answered, turn, door, settings.limits, draining, clock, observation.called)
    suffixes = sorted(algorithm_names()) if settings.reasoning.listed else ()
    standing = Standing(backends, programs, door, draining, clock, suffixes)
    routes = _routes(completions, standing, keys=isinstance(door, Keys))
    parts = Parts(answered, turn, admission, door, draining, observation, clock, most)
    batching = make_batching(settings, parts)
    routes |= batching.routes
    library = _library("metrics")
    present = library.Present(backends, admission, lambda: answer.hosts.services)
    routes["GET", "/metrics"] = library.Metrics(_metrics_door(settings, environ), served, ran, present)
    if settings.dashboard.enabled:
        eyes = DashboardDoor(door, environ.get(KEY_VARIABLE, ""), settings.host)
        dashboard = Dashboard(settings, eyes, admission, draining, clock)
        dashboard.follow(answer, observation)
        routes |= dashboard.routes()

    async def start(resources: AsyncExitStack) -> None:
        if tracing is not None:
            resources.push_async_callback(asyncio.to_thread, tracing.close)
        resources.push_async_callback(backends.close)
        resources.push_async_callback(engines.close)
        resources.push_async_callback(answer.hosts.close)
        await backends.examine()
        for work in (backends.watch(), patience.watch(), _sweep(programs, clock)):
            resources.push_async_callback(_cancelled, asyncio.ensure_future(work))
        await batching.start(resources)

    gateway = Gateway(observation.routes(routes), start, observation.ended)
    if batching.app is not None:
        batching.app.open = gateway.open  # told to end, it waits for what batches have under way too
    return Serving(settings, gateway, backends, admission, draining, answer, observation, llama)


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


def _routes(completions: Route, standing: Standing, *, keys: bool) -> dict[tuple[str, str], Route]:
    return {
        ("POST", "/v1/chat/completions"): completions,
        ("POST", "/v1/completions"): completions,
        ("GET", MODELS): standing.models,
        ("GET", f"{MODELS}/"): standing.model,
        ("GET", PROGRAMS): standing.program,
        ("POST", PROGRAMS): standing.close,
        ("GET", "/health"): standing.health,
        ("GET", "/ready"): standing.ready,
        ("GET", openapi.PATH): openapi.Description(keys=keys),
    }


def _turns(admission: Admission, answer: Reasoning) -> Callable[[Call], AbstractAsyncContextManager[None]]:
    """What takes turns: a call that is passed on, or else each branch of the program that answers it."""
    return lambda call: admission.visit(call) if answer.asks(call) else admission.turn(call)


def _addresses(settings: GatewaySettings, environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """The addresses of the backends, and their keys."""
    urls = [Endpoint(backend.url).url for backend in settings.backends]
    if twice := next((url for url in urls if urls.count(url) > 1), None):
        raise UsageError(f"the backend {twice} is given twice; give each of them once")
    return list(zip(urls, [_key(backend, environ) for backend in settings.backends], strict=True))


def _upstreams(
    settings: GatewaySettings, environ: Mapping[str, str], model: EmbeddedModel | None
) -> tuple[list[tuple[str, Upstream]], LlamaServer | None]:
    if addresses := _addresses(settings, environ):
        return [(url, Upstream(url, key, settings.timeouts)) for url, key in addresses], None
    key = secrets.token_hex(32)
    llama, name = _loaded(model or EmbeddedModel(Path("builtin")), key)
    return [(name, Upstream(f"{llama.address}/v1", key, settings.timeouts))], llama


def _asked_at(upstreams: list[tuple[str, Upstream]]) -> list[tuple[str, str]]:
    """The addresses at which programs ask, and their keys."""
    return [(upstream.url, upstream.key) for _, upstream in upstreams]


def _key(backend: BackendSettings, environ: Mapping[str, str]) -> str:
    key = environ.get(backend.api_key_variable, "")
    if not (key.isascii() and key.isprintable()):
        raise UsageError(f"${backend.api_key_variable} holds a character that no HTTP header may hold")
    return key


def _loaded(model: EmbeddedModel, key: str) -> tuple[LlamaServer, str]:
    """A model in this process, which answers at a port of the loopback interface that only this key opens."""
    file = read_gguf(model.file)
    slots, context = model.slot_count, file.context_tokens(model)
    check_memory(file, slots, context, available_bytes())
    name = "builtin" if model.is_builtin else model.file.stem
    loading = Loading(
        file=file.path,
        slots=slots,
        context_tokens=context,
        threads=model.threads,
        http_key=key,
        http_threads=2 * slots + _SPARE_THREADS,
        http_name=name,
    )
    llama = LlamaServer(loading)
    llama.load()
    return llama, name


def _door(settings: GatewaySettings) -> Doorkeeper:
    if any(tenant.key_hashes for tenant in settings.tenants):
        return Keys(settings.tenants)
    return Everybody(settings.host)


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
