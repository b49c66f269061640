"""Gateways and backends on real sockets, all in the event loop of the test that asks them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from uvicorn.server import ServerState

from dynasor.gateway.listening import Listening, configuration
from dynasor.gateway.settings import GatewaySettings, read_settings
from dynasor.launch.serving import Serving, prepare
from support.faulty_app import FaultyApp

KEY = "sk-for-tests-only-and-long-enough-0123456789"
QUESTION = {"model": "tiny", "messages": [{"role": "user", "content": "1 + 1?"}]}


@dataclass
class GatewayHere:
    """A gateway that serves."""

    serving: Serving
    port: int
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection, which is closed at the end at the latest."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 16)
        self.writers.append(writer)
        return reader, writer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def serving_at(app: web.Application) -> AsyncIterator[str]:
    """Serve an application; gives its address."""
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def faulty(token_delay_s: float = 0.0) -> AsyncIterator[tuple[str, FaultyApp]]:
    """A model server that misbehaves when told to."""
    app = FaultyApp(token_delay_s)
    async with serving_at(app.web) as url:
        yield url, app


@asynccontextmanager
async def gateway(*urls: str, environ: Mapping[str, str] | None = None, **settings: Any) -> AsyncIterator[GatewayHere]:
    """A gateway in front of backends, with settings as in its file."""
    told = {"backends": [{"url": url} for url in urls], "port": 0} | settings
    async with listening(prepare(read_settings(None, told), environ or {})) as here:
        yield here


@asynccontextmanager
async def listening(serving: Serving, protocol: Any = None) -> AsyncIterator[GatewayHere]:
    """Let a gateway listen, as its own server does, or by another protocol of uvicorn's."""
    settings: GatewaySettings = serving.settings
    config = configuration(serving.gateway, Listening(connections=settings.connections), settings.limits)
    config.load()
    state, loop = ServerState(), asyncio.get_running_loop()
    make: Any = protocol or config.http_protocol_class
    async with AsyncExitStack() as resources:
        await serving.gateway.start(resources)
        server = await loop.create_server(
            lambda: make(config=config, server_state=state, app_state={}),
            "127.0.0.1",
            0,
        )
        here = GatewayHere(serving, server.sockets[0].getsockname()[1])
        try:
            yield here
        finally:
            server.close()
            for writer in here.writers:
                writer.transport.abort()
            for connection in list(state.connections):
                connection.transport.abort()
            await asyncio.gather(*state.tasks, return_exceptions=True)


@dataclass
class Recorder:
    """A backend that keeps what it was sent, and answers what the test says."""

    answer: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/{path:.*}", self._take)
        return app

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "tiny", "object": "model"}]})

    async def _take(self, http: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in http.headers.items()}
        self.requests.append((http.path, headers, await http.read()))
        if self.answer is not None:
            return await self.answer(http)
        return web.json_response({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}})
