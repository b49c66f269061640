"""A model server that answers at once, or at a given pace: what a gateway is measured in front of.

It is a process of its own, cheap enough not to be the bottleneck. What it is to do travels in the prompt, so that every
proxy in between passes it on: `[[mock: tokens=64 every=0.02]]`. Its faults have the names of llm-d-inference-sim. Every
token is the instant at which it was sent, so that a client in another process of this machine can tell the delay.
"""

import asyncio
import re
import sys
from functools import lru_cache
from typing import Final

import httptools
import msgspec
import uvloop

from dynasor.bench.gateway_load import Seen
from dynasor.clock import WallClock

FAULTS: Final = {
    "rate_limit": (429, "rate_limit_error"),
    "invalid_api_key": (401, "authentication_error"),
    "context_length": (400, "invalid_request_error"),
    "server_error": (503, "server_error"),
    "invalid_request": (400, "invalid_request_error"),
    "model_not_found": (404, "not_found_error"),
}

_TOLD = re.compile(rb"\[\[mock:([^\]]*)\]\]")
_STREAM = re.compile(rb'"stream"\s*:\s*true')
_REASONS = {200: b"OK", 400: b"Bad Request", 401: b"Unauthorized", 404: b"Not Found", 429: b"Too Many Requests"}
_CHUNK = (
    b'data: {"id":"chatcmpl-mock","object":"chat.completion.chunk","created":0,"model":"mock","choices":[{"index":0,'
    b'"delta":{"content":"%.6f "},"finish_reason":%b}]}\n\n'
)
_WHOLE = (
    b'{"id":"chatcmpl-mock","object":"chat.completion","created":0,"model":"mock","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"%b"},"finish_reason":"stop"}],"usage":{"prompt_tokens":16,"completion_tokens":%d,'
    b'"total_tokens":%d}}'
)
_MODELS = b'{"object":"list","data":[{"id":"mock","object":"model","created":0,"owned_by":"dynasor"}]}'
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_DONE = b"data: [DONE]\n\n"


class Told(msgspec.Struct, frozen=True):
    """What a prompt says.

    Attributes:
        tokens: of the answer.
        every: seconds between two of them; 0: all at once.
        first: seconds before the first.
        fail: the name of a fault.
        of: only every so manieth such request is hit by it.
    """

    tokens: int = 16
    every: float = 0.0
    first: float = 0.0
    fail: str = ""
    of: int = 1


@lru_cache(256)
def told(text: bytes) -> Told:
    """Read what stands between `[[mock:` and `]]`."""
    pairs = (pair.partition("=") for pair in text.decode().split())
    return msgspec.convert({name: value for name, _, value in pairs}, Told, strict=False)


class Mock(asyncio.Protocol):
    """One connection; a request after the other."""

    def __init__(self, seen: Seen) -> None:
        self._seen, self._now = seen, WallClock().now
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._answering = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)

    def connection_lost(self, _: Exception | None) -> None:
        """It is gone."""
        if self._timer is not None:
            self._timer.cancel()
        if self._answering:
            self._seen.active -= 1
            self._seen.aborted += 1

    def data_received(self, data: bytes) -> None:
        """More has come."""
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._pieces: list[bytes] = []

    def on_url(self, url: bytes) -> None:
        """Its path."""
        self._path = url

    def on_body(self, body: bytes) -> None:
        """A piece of its body."""
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        """All of it is there."""
        if self._parser.get_method() != b"POST":
            self._tell()
            return
        self._seen.requests += 1
        self._seen.active += 1
        self._answering = True
        body = b"".join(self._pieces)
        found = _TOLD.search(body)
        asked = told(found[1]) if found else Told()
        if asked.fail and self._seen.requests % asked.of == 0:
            self._fail(asked.fail)
        elif _STREAM.search(body):
            self._tokens, self._asked = asked.tokens, asked
            self._at = self._loop.time() + asked.first
            self._later(self._begin_stream, asked.first)
        else:
            self._asked = asked
            self._later(self._whole, asked.first)

    def _later(self, call: object, wait_s: float) -> None:
        if wait_s > 0:
            self._timer = self._loop.call_later(wait_s, call)  # type: ignore[arg-type]
        else:
            call()  # type: ignore[operator]

    def _tell(self) -> None:
        if self._path.endswith(b"/models"):
            self._answer(200, _MODELS)
        else:
            self._answer(200, msgspec.json.encode(self._seen))

    def _fail(self, name: str) -> None:
        status, kind = FAULTS[name]
        error = {"message": f"told to fail: {name}", "type": kind, "param": None, "code": name}
        self._end()
        self._answer(status, msgspec.json.encode({"error": error}), b"retry-after: 1\r\n" * (status == 429))

    def _whole(self) -> None:
        tokens = self._asked.tokens
        self._end()
        self._answer(200, _WHOLE % (b"word " * tokens, tokens, 16 + tokens))

    def _answer(self, status: int, body: bytes, headers: bytes = b"") -> None:
        head = b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n"
        self._transport.write(head % (status, _REASONS.get(status, b"Error"), headers, len(body)) + body)

    def _begin_stream(self) -> None:
        self._transport.write(_STREAM_HEAD)
        self._token()

    def _token(self) -> None:
        asked = self._asked
        while self._tokens > 0:
            self._tokens -= 1
            self._transport.write(_chunked(_CHUNK % (self._now(), b"null" if self._tokens else b'"stop"')))
            if asked.every and self._tokens:
                self._at += asked.every
                self._timer = self._loop.call_at(self._at, self._token)
                return
        self._end()
        self._transport.write(_chunked(_DONE) + b"0\r\n\r\n")

    def _end(self) -> None:
        self._answering = False
        self._seen.active -= 1


def _chunked(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


async def serve(port: int) -> None:
    """Serve on the loopback interface; writes the port to the standard output, and goes on until it is ended."""
    seen = Seen()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Mock(seen), "127.0.0.1", port, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
