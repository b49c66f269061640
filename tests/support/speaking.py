"""A model server that says what a test tells it to, as streamed chat completions or text completions."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from support.gateways import serving_at


@dataclass
class Said:
    """One answer.

    Attributes:
        text: of as many tokens as it has words.
        holds: wait for this after half of the words.
    """

    text: str = ""
    thought: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    finish: str = "stop"
    status: int = 200
    holds: asyncio.Event | None = None
    breaks: bool = False


@dataclass
class Speaking:
    """The server; `say` gets a request's body and its number.

    Attributes:
        bodies: of all requests, in order.
        running: requests that have begun and not ended.
    """

    say: Callable[[dict[str, Any], int], Said]
    bodies: list[dict[str, Any]] = field(default_factory=list)
    running: int = 0

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._take)
        app.router.add_post("/v1/completions", self._take)
        return app

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "tiny", "object": "model"}]})

    async def _take(self, http: web.Request) -> web.StreamResponse:
        body = await http.json()
        self.bodies.append(body)
        said = self.say(body, len(self.bodies) - 1)
        if said.status != 200:
            return web.json_response({"error": {"message": "it cannot be"}}, status=said.status)
        self.running += 1
        try:
            return await self._stream(http, said, is_chat="messages" in body)
        finally:
            self.running -= 1

    async def _stream(self, http: web.Request, said: Said, *, is_chat: bool) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(http)
        words = said.text.split(" ")
        pieces = [word if place == 0 else f" {word}" for place, word in enumerate(words)]
        deltas: list[dict[str, Any]] = [{"reasoning_content": said.thought}] if said.thought else []
        deltas += [{"content": piece} for piece in pieces if piece]
        for index, (name, arguments) in enumerate(said.calls):
            function = {"name": name, "arguments": arguments[:3]}
            deltas.append(
                {"tool_calls": [{"index": index, "id": f"c{index}", "type": "function", "function": function}]}
            )
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": arguments[3:]}}]})
        for place, delta in enumerate(deltas):
            if place == len(deltas) // 2 and said.holds is not None:
                await said.holds.wait()
            choice = {"delta": delta} if is_chat else {"text": delta["content"]}
            await self._send(response, {"choices": [{"index": 0, **choice}]})
        if said.breaks:
            return response
        finish = "tool_calls" if said.calls else said.finish
        last: dict[str, Any] = {"delta": {}} if is_chat else {"text": ""}
        await self._send(response, {"choices": [{"index": 0, **last, "finish_reason": finish}]})
        usage = {"prompt_tokens": 7, "completion_tokens": max(1, len(deltas))}
        await self._send(response, {"choices": [], "usage": usage})
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _send(self, response: web.StreamResponse, event: dict[str, Any]) -> None:
        await response.write(b"data: " + msgspec.json.encode(event) + b"\n\n")


@asynccontextmanager
async def speaking(say: Callable[[dict[str, Any], int], Said]) -> AsyncIterator[tuple[str, Speaking]]:
    """Serve it; gives its address."""
    server = Speaking(say)
    async with serving_at(server.app()) as url:
        yield url, server
