"""One request over HTTP and its answer, on what ASGI hands over; the server beneath may be any.

It bounds what a client may send, and tells when the client has left. It knows no route and no model.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Protocol

from dynasor.gateway.refusals import Refused

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

CONNECTION = "dynasor.connection"
"""Of a scope: the `Connection`, which our own server gives."""
JSON: tuple[bytes, bytes] = (b"content-type", b"application/json")
EVENTS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # a proxy in front must not hold events back
)

_PASSED_OVER_BYTES = 64 << 20  # of a body that is refused: a client that sends all of it then reads why
_PASSED_OVER_S = 5.0


class Connection(Protocol):
    """What ASGI cannot tell or do, or only at a cost for every request."""

    def gather(self) -> None:
        """From now on, keep what is written."""
        ...

    def flush(self) -> None:
        """Write what was kept, as one piece, and keep no more."""
        ...

    def tell_when_lost(self, callback: Callable[[], None] | None) -> None:
        """Call it once the client is gone; None: do not."""
        ...

    def abort(self) -> None:
        """Close it at once, without what is still to be sent."""
        ...


class ClientLeft(Exception):
    """Nobody waits for the answer any more."""


class Exchange:
    """A request, and the answer to it. It is made in the task that answers, and cancels that task if it has to.

    Attributes:
        begun: whether the answer's head was sent: from then on its status can no longer change.
        streams: whether the answer is one of events.
        status: of the answer, once it has begun.
        gone: whether the task was cancelled because the client left.
        stopped: why the task was cancelled on our side.
    """

    __slots__ = (
        "_connection", "_headers", "_receive", "_scope", "_send", "_task", "_watcher", "_whole",
        "begun", "gone", "status", "stopped", "streams",
    )  # fmt: skip

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        """`loop` is the event loop that runs; to find that out takes a call of the system's."""
        self._scope, self._receive, self._send = scope, receive, send
        self._headers: dict[bytes, bytes] | None = None
        self._connection: Connection | None = scope.get(CONNECTION)
        self._task = asyncio.current_task(loop)
        self._watcher: asyncio.Task[None] | None = None
        self._whole = False
        self.begun = self.streams = self.gone = False
        self.status = 0
        self.stopped: Refused | None = None

    @property
    def method(self) -> str:
        """Such as "POST"."""
        method: str = self._scope["method"]
        return method

    @property
    def path(self) -> str:
        """As routes are decided by: never what the Host header or an absolute address makes of it."""
        path: str = self._scope["path"]
        return path

    @property
    def query(self) -> str:
        """What follows the question mark."""
        return bytes(self._scope.get("query_string", b"")).decode("latin-1")

    @property
    def client(self) -> str:
        """Where it comes from, for the log; empty where the server does not tell."""
        return str((self._scope.get("client") or ("",))[0])

    @property
    def headers(self) -> dict[bytes, bytes]:
        """By name in small letters; of a name that is given twice the last."""
        if self._headers is None:
            self._headers = dict(self._scope["headers"])
        return self._headers

    async def body(self, most: int, limit_s: float = 60.0) -> bytes:
        """The whole body, of so many bytes at most and within so many seconds; called once.

        Raises:
            Refused: it is longer, or comes too slowly.
            ClientLeft: it ends in the midst.
        """
        told = self.headers.get(b"content-length", b"")
        if told.isdigit() and int(told) > most:
            raise _too_long(most)
        piece = self._taken(await self._receive())
        if self._whole and len(piece) <= most:
            return piece
        try:
            async with asyncio.timeout(limit_s):
                return await self._rest(piece, most)
        except TimeoutError:
            raise Refused(408, f"the body did not come within {limit_s:g} s", "request_timeout") from None

    async def pieces(self, most: int, limit_s: float) -> AsyncIterator[bytes]:
        """The body as it comes, of so many bytes at most, each piece within so many seconds; in place of `body`.

        Raises:
            Refused: it is longer, or comes too slowly.
            ClientLeft: it ends in the midst.
        """
        told, size = self.headers.get(b"content-length", b""), 0
        if told.isdigit() and int(told) > most:
            raise _too_long(most)
        while not self._whole:
            try:
                async with asyncio.timeout(limit_s):
                    piece = await self._piece()
            except TimeoutError:
                raise Refused(408, f"nothing of the body came for {limit_s:g} s", "request_timeout") from None
            size += len(piece)
            if size > most:
                raise _too_long(most)
            yield piece

    async def left(self) -> None:
        """Wait until the client is gone, or has the whole answer; what it still sends is passed over."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def watch(self) -> None:
        """From now on, cancel the task that answers when the client leaves. The body must have been read."""
        if self._connection is not None:
            self._connection.tell_when_lost(self._lost)
        else:
            self._watcher = asyncio.get_running_loop().create_task(self._watch())

    def stop(self, why: Refused) -> None:
        """Cancel the task that answers; the client is told why."""
        if self._task is not None and self.stopped is None:
            self.stopped = why
            self._task.cancel()

    def abort(self) -> None:
        """Close the connection without what is still to be sent: the client does not read it."""
        if self._connection is not None:
            self._connection.abort()

    async def answer(self, status: int, body: bytes, headers: Headers = (JSON,)) -> None:
        """Send a whole answer; head and body leave as one piece, for each costs the system a send."""
        connection = self._connection
        if connection is not None:
            connection.gather()
        try:
            await self.begin(status, [*headers, (b"content-length", b"%d" % len(body))])
            await self._send({"type": "http.response.body", "body": body})
        finally:
            if connection is not None:
                connection.flush()

    async def refuse(self, refused: Refused) -> None:
        """Tell why there is no answer. A body that was not read is read now, up to a bound, and forgotten."""
        body, headers = refused.body(), [JSON, *refused.headers()]
        if self._whole or not self._announces_body:
            return await self.answer(refused.status, body, headers)
        await self.begin(refused.status, [*headers, (b"content-length", b"%d" % len(body)), (b"connection", b"close")])
        await self.send(body)
        await self._pass_over()
        return await self.end()

    async def begin(self, status: int, headers: Headers, *, streams: bool = False) -> None:
        """Send the head of an answer."""
        self.begun, self.status, self.streams = True, status, streams
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def send(self, piece: bytes) -> None:
        """Send a piece of the body; waits while the client does not read."""
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def end(self, piece: bytes = b"") -> None:
        """Send the last piece."""
        await self._send({"type": "http.response.body", "body": piece})

    def over(self) -> None:
        """The task has no more to do with it."""
        self._task = None
        if self._connection is not None:
            self._connection.tell_when_lost(None)
        if self._watcher is not None:
            self._watcher.cancel()

    @property
    def _announces_body(self) -> bool:
        return self.headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in self.headers

    async def _piece(self) -> bytes:
        return self._taken(await self._receive())

    def _taken(self, message: MutableMapping[str, Any]) -> bytes:
        """The piece of the body that came.

        Raises:
            ClientLeft: none will.
        """
        if message["type"] == "http.disconnect":
            raise ClientLeft
        self._whole = not message.get("more_body", False)
        return bytes(message.get("body", b""))

    async def _rest(self, first: bytes, most: int) -> bytes:
        pieces, size = [first], len(first)
        while not self._whole and size <= most:
            pieces.append(await self._piece())
            size += len(pieces[-1])
        if size > most:
            raise _too_long(most)
        return b"".join(pieces)

    async def _pass_over(self) -> None:
        size = 0
        try:
            async with asyncio.timeout(_PASSED_OVER_S):
                while not self._whole and size < _PASSED_OVER_BYTES:
                    size += len(await self._piece())
        except (TimeoutError, ClientLeft):
            return

    async def _watch(self) -> None:
        await self.left()
        self._lost()

    def _lost(self) -> None:
        if self._task is not None and self.stopped is None:
            self.gone = True
            self._task.cancel()


def _too_long(most: int) -> Refused:
    told = f"the body has more than {most} bytes; send a shorter one"
    return Refused(413, told, "request_too_large")
