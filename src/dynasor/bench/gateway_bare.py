"""The least that a gateway on this stack can do: uvicorn and aiohttp, bytes in and bytes out, and nothing counted.

The floor beside which the gateway is measured: what it takes more is what keys, programs, fairness, limits, metrics and
the log cost. Not for use: it bounds nothing and survives no fault.
"""

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import aiohttp
import uvicorn

Message = MutableMapping[str, Any]


class Bare:
    """An ASGI application in front of one backend."""

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._session: aiohttp.ClientSession | None = None

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Answer, as ASGI has it."""
        if scope["type"] != "http":
            return
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))
        body = await _body(receive)
        headers = {"Content-Type": "application/json"}
        async with self._session.request(
            scope["method"], self._backend + scope["path"], data=body, headers=headers
        ) as got:
            told = [pair for pair in got.raw_headers if pair[0].lower() in (b"content-type", b"content-length")]
            await send({"type": "http.response.start", "status": got.status, "headers": told})
            while piece := await got.content.readany():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


async def _body(receive: Callable[[], Awaitable[Message]]) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


if __name__ == "__main__":
    uvicorn.run(
        Bare(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), lifespan="off", ws="none", log_config=None,
        access_log=False, server_header=False, date_header=False, backlog=4096,
    )  # fmt: skip
