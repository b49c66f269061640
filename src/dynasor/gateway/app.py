"""The gateway as an ASGI application: which route answers, and what a client is told when none does.

What is not listed is refused. It knows no route by itself: whoever builds the gateway hands them in.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

from dynasor.errors import DynasorError
from dynasor.gateway.exchange import ClientLeft, Exchange, Receive, Scope, Send
from dynasor.gateway.refusals import Refused, refusal_of

Route = Callable[[Exchange], Awaitable[None]]
Start = Callable[[AsyncExitStack], Awaitable[None]]

_LOG = logging.getLogger("dynasor.gateway")
_LEFT = 499  # as nginx has it: the client closed the connection before the answer
_STARTING = "lifespan.startup"


class Gateway:
    """Routes by path and method.

    A path that ends in "/" is a route to everything below it. `start` is called once, in the server's own event loop,
    with the stack on which it leaves what is to be let go of in the end. `ended` is told of every exchange at its end.

    Attributes:
        start: makes it ready, in the server's own event loop.
        open: the exchanges that have not ended.
        startup_fault: what made the start fail.
    """

    def __init__(
        self, routes: Mapping[tuple[str, str], Route], start: Start, ended: Callable[[Exchange], None] | None = None
    ) -> None:
        self._exact = {key: route for key, route in routes.items() if not key[1].endswith("/")}
        self._below = [(key, route) for key, route in routes.items() if key[1].endswith("/")]
        self.start, self._ended = start, ended
        self.open: set[Exchange] = set()
        self.startup_fault: DynasorError | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, as ASGI has it."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            exchange = Exchange(scope, receive, send, self._loop)
            self.open.add(exchange)
            try:
                await self._answer(exchange)
            finally:
                self.open.discard(exchange)
                if self._ended is not None:
                    self._ended(exchange)

    def stop(self, why: Refused) -> None:
        """Break off every answer; each client is told why."""
        for exchange in list(self.open):
            exchange.stop(why)

    async def _answer(self, exchange: Exchange) -> None:
        try:
            await self._routed(exchange)
        except ClientLeft:
            exchange.status = _LEFT
        except Refused as refused:
            await _refuse(exchange, refused)
        except DynasorError as fault:
            await _refuse(exchange, refusal_of(fault))
        except Exception:  # noqa: BLE001  the outermost door: a client learns no more than that something is wrong
            _LOG.exception("%s failed", exchange.method)
            await _refuse(exchange, Refused(500, "something is wrong here; it was logged", "internal_error"))

    async def _routed(self, exchange: Exchange) -> None:
        """Call the route; that its task was cancelled, for one of two reasons, ends here.

        Raises:
            ClientLeft: the client left.
            Refused: the exchange was stopped, or the route refuses it.
        """
        try:
            route = self._exact.get((exchange.method, exchange.path)) or self._other(exchange.method, exchange.path)
            await route(exchange)
        except asyncio.CancelledError:
            if not exchange.gone and exchange.stopped is None:
                raise
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
            raise exchange.stopped or ClientLeft from None
        finally:
            exchange.over()

    def _other(self, method: str, path: str) -> Route:
        for (known, start), route in self._below:
            if known == method and path.startswith(start):
                return route
        allowed = {known for known, exact in self._exact if exact == path}
        allowed |= {known for (known, start), _ in self._below if path.startswith(start)}
        if allowed:
            raise Refused(405, f"{path} takes {' or '.join(sorted(allowed))}, not {method}", "method_not_allowed")
        raise Refused(404, f"there is no {path[:200]} here; see /v1/models for what answers", "not_found")

    async def _live(self, receive: Receive, send: Send) -> None:
        self._loop = asyncio.get_running_loop()
        async with AsyncExitStack() as resources:
            await receive()
            try:
                await self.start(resources)
            except DynasorError as fault:
                self.startup_fault = fault
                await send({"type": f"{_STARTING}.failed", "message": str(fault)})
                return
            await send({"type": f"{_STARTING}.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


async def _refuse(exchange: Exchange, refused: Refused) -> None:
    """Tell the client; where a stream has begun, by its last event: a bare end would look like a whole answer."""
    if not exchange.begun:
        await exchange.refuse(refused)
    elif exchange.streams:
        _LOG.warning("a stream broke off: %s", refused)
        await exchange.end(refused.event())
    else:
        raise refused
