"""A server with vLLM's pooling endpoints on a real socket, in the test's own event loop.

The raw figure of a text is its length less 10, so that the logistic function of some is well inside (0, 1); what the
server gives where it is not asked for raw figures is that length in thousandths.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web

Answer = tuple[int, bytes, dict[str, str]]
"""Status, body and headers."""


class RewardApp:
    """What it got, and what it answers.

    Attributes:
        asked: path and body of every request.
        authorizations: the header of every request.
        planned: answers that come before the usual ones.
        figures: how the figures of one text are written under `probs` or `data`.
        models: their names; None: it does not tell.
        gate: nothing is answered while it is cleared.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.authorizations: list[str | None] = []
        self.planned: list[Answer] = []
        self.figures: Callable[[float], object] = lambda figure: [figure]
        self.models: list[str] | None = ["judge"]
        self.gate = asyncio.Event()
        self.gate.set()
        self.web = web.Application()
        self.web.router.add_get("/v1/models", self._models)
        for path in ("/classify", "/pooling", "/v1/score"):
            self.web.router.add_post(path, self._score)

    def refuse(self, status: int, message: str = "told to fail", **headers: str) -> None:
        self.planned.append((status, msgspec.json.encode({"error": {"message": message}}), headers))

    async def _models(self, _: web.Request) -> web.Response:
        if self.models is None:
            raise web.HTTPNotFound
        return web.json_response({"data": [{"id": name} for name in self.models]})

    async def _score(self, http: web.Request) -> web.Response:
        body = msgspec.json.decode(await http.read())
        self.asked.append((http.path, body))
        self.authorizations.append(http.headers.get("Authorization"))
        await self.gate.wait()
        if self.planned:
            status, told, headers = self.planned.pop(0)
            return web.Response(status=status, body=told, headers=headers, content_type="application/json")
        entries = [self._entry(http.path, index, text, body) for index, text in enumerate(_texts(body))]
        return web.json_response({"data": entries[::-1]})

    def _entry(self, path: str, index: int, text: str, body: dict[str, Any]) -> dict[str, object]:
        figure = len(text) / 1000 if body.get("use_activation", True) else len(text) - 10.0
        if path == "/v1/score":
            return {"index": index, "score": figure}
        return {"index": index, "probs" if path == "/classify" else "data": self.figures(figure)}


def _texts(body: dict[str, Any]) -> list[str]:
    if "text_1" in body:
        return [first + second for first, second in zip(body["text_1"], body["text_2"], strict=True)]
    if "messages" in body:
        return ["".join(turn["content"] for turn in body["messages"])]
    texts: list[str] = body["input"]
    return texts


@asynccontextmanager
async def serving(app: RewardApp) -> AsyncIterator[str]:
    """Let it listen; gives its address."""
    runner = web.AppRunner(app.web, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
