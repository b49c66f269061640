"""The HTTP server beneath the gateway: uvicorn, with bounds that it lacks, and with a slow end.

The one place that knows uvicorn. It bounds the size of headers and the time in which they must have come, so that a
client that sends a byte a second holds nothing for long; and when told to end it first lets open answers finish.
"""

import asyncio
import gc
import logging
import resource
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from dynasor.clock import WallClock
from dynasor.errors import EngineError
from dynasor.gateway.app import Gateway
from dynasor.gateway.draining import Draining, shutting_down
from dynasor.gateway.exchange import CONNECTION
from dynasor.gateway.gathering import Gathering
from dynasor.gateway.limits import Limits
from dynasor.gateway.refusals import Refused

_TICK_S = 0.05
_SOCKETS = 1 << 16
_OTHER_FILES = 64  # that a gateway has open beside its connections
_COLLECTED_EVERY = (20_000, 20, 20)  # objects: a request leaves few cycles; Python's own 700 cost 8 % of the processor
_LAST_WORDS_S = 1  # for answers that were stopped to tell so


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where and how a gateway listens.

    Attributes:
        port: 0 for any that is free.
        connections: at one time; further ones are closed at once. Fewer, where the system allows fewer open files.
        at_backends: connections to these at one time, for which as many open files are kept free as there can be.
        keep_alive_s: that a connection may stay open without a request.
        grace_s: that open answers get to finish when the gateway is told to end.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    connections: int = 20_000
    at_backends: int = 256
    keep_alive_s: int = 75
    grace_s: float = 30.0


class GuardedProtocol(HttpToolsProtocol):
    """One connection; implements `exchange.Connection`. A subclass sets the bounds for a server."""

    limits = Limits()
    most_connections = 20_000
    _heading = False
    _head_bytes = 0  # of a head that has not ended, as far as they came before
    _data_bytes = 0  # that come now
    _impatience: asyncio.TimerHandle | None = None
    _is_lost = False
    _refusal: Refused | None = None
    _when_lost: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected; it must soon send a request."""
        self._gathering = Gathering(transport)
        super().connection_made(self._gathering)  # type: ignore[arg-type]
        if len(self.connections) > self.most_connections:
            transport.abort()
            return
        self._impatience = self.loop.call_later(self.limits.header_s, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._is_lost = True
        self._be_patient()
        if self.scope:  # of its latest request: each would hold the other until the garbage collector comes by
            self.scope.pop(CONNECTION, None)  # type: ignore[misc]
        super().connection_lost(exc)
        if self._when_lost is not None:
            self._when_lost()

    def gather(self) -> None:
        """From now on, keep what is written."""
        self._gathering.gather()

    def flush(self) -> None:
        """Write what was kept, as one piece, and keep no more."""
        self._gathering.flush()

    def tell_when_lost(self, callback: Callable[[], None] | None) -> None:
        """Call it once the client is gone; at once where it is."""
        self._when_lost = callback
        if callback is not None and self._is_lost:
            callback()

    def abort(self) -> None:
        """Close it at once."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """More has come; headers that have not ended by now are timed."""
        self._data_bytes = len(data)
        super().data_received(data)
        if not self._heading:
            return
        self._head_bytes += len(data)
        if self._head_bytes > self.limits.header_bytes:
            self._refuse(_too_large(self.limits.header_bytes))
        elif self._impatience is None:
            self._impatience = self.loop.call_later(self.limits.header_s, self._give_up)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._heading, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """All headers are there."""
        self._heading = False
        self._be_patient()
        if self._is_large():
            self._refusal = _too_large(self.limits.header_bytes)
            raise ValueError(self._refusal.told)  # the parser ends here, and send_400_response tells
        self.scope[CONNECTION] = self  # type: ignore[literal-required]  # it is ours
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """What could not be parsed is refused in the form of all refusals."""
        self._refuse(self._refusal or Refused(400, "this is no HTTP request", "invalid_http"))

    def _is_large(self) -> bool:
        """Whether a head that has ended is too large; its parts are counted only where all that came is."""
        most = self.limits.header_bytes
        if self._head_bytes + self._data_bytes <= most:
            return False
        return len(self.url) + sum([len(name) + len(value) for name, value in self.headers]) > most

    def _give_up(self) -> None:
        self._impatience = None
        self._refuse(Refused(408, "the request's headers did not come in time", "request_timeout"))

    def _refuse(self, refused: Refused) -> None:
        self._heading = False
        if self.transport.is_closing():
            return
        body = refused.body()
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[refused.status] + head + body)
        self.transport.close()

    def _be_patient(self) -> None:
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None


class GatewayServer(uvicorn.Server):
    """Serves a gateway until it is told to end, once for a slow end and twice for a quick one."""

    def __init__(self, gateway: Gateway, draining: Draining, listening: Listening, limits: Limits) -> None:
        listening = replace(listening, connections=_affordable(listening, _allowed_files()))
        super().__init__(configuration(gateway, listening, limits))
        self._gateway, self._draining, self._grace_s = gateway, draining, listening.grace_s
        self._ending: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """Where it listens, once it does."""
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port

    def run_until_told(self, listens: Callable[[int], None]) -> None:
        """Serve; `listens` is told the port.

        Raises:
            DynasorError: it could not begin.
        """
        self._listens = listens
        try:
            self.run()
        except SystemExit:
            fault = self._gateway.startup_fault
            where = f"{self.config.host}:{self.config.port}"
            raise fault or EngineError(f"cannot listen at {where}; is the port in use?", retryable=False) from None

    async def startup(self, sockets: Any = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        gc.collect()
        gc.set_threshold(*_COLLECTED_EVERY)
        gc.freeze()  # what is loaded by now stays; the collector need not look through it again and again
        if self.started and hasattr(self, "_listens"):
            self._listens(self.port)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal to end has come."""
        if self._draining.begun:
            self.should_exit = self.force_exit = True
        self._draining.begin()

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second."""
        if self._draining.begun and self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end_slowly())
        return await super().on_tick(counter)

    async def _end_slowly(self) -> None:
        clock = WallClock()
        until = clock.now() + self._grace_s
        while self._gateway.open and clock.now() < until:
            await clock.sleep(_TICK_S)
        self._gateway.stop(shutting_down("the time for open answers is over"))
        self.should_exit = True


def configuration(gateway: Gateway, listening: Listening, limits: Limits) -> uvicorn.Config:
    """How uvicorn serves a gateway."""
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # its warnings are of what clients do
    protocol = type("Guarded", (GuardedProtocol,), {"limits": limits, "most_connections": listening.connections})
    return uvicorn.Config(
        gateway,
        host=listening.host,
        port=listening.port,
        http=protocol,
        ws="none",
        lifespan="on",
        loop="auto",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=4096,
        timeout_keep_alive=listening.keep_alive_s,
        timeout_graceful_shutdown=_LAST_WORDS_S,
    )


def _allowed_files() -> int:
    """How many files this process may have open, once that is raised: the usual 1024 is for programs with select()."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _SOCKETS if most == resource.RLIM_INFINITY else min(most, _SOCKETS)
    if now != resource.RLIM_INFINITY and now < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
            return wanted
    return _SOCKETS if now == resource.RLIM_INFINITY else now


def _affordable(listening: Listening, files: int) -> int:
    """Connections of clients, such that one that is let in can be passed on."""
    free = max(files - _OTHER_FILES, 2)
    return min(listening.connections, free - min(listening.at_backends, free // 2))


def _too_large(most: int) -> Refused:
    return Refused(431, f"the headers have more than {most} bytes", "headers_too_large")
