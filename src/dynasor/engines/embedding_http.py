"""Embeddings by a server: the `/v1/embeddings` of vLLM, SGLang, llama.cpp, text-embeddings-inference and hosted ones.

The server of an OpenAI engine moves the bytes here too, so that keys, timeouts and refusals are treated alike.
"""

import asyncio
import os
import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

import msgspec

from dynasor.clock import Clock, WallClock
from dynasor.engines.embedding import Vector
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_server import OpenAIServer
from dynasor.engines.openai_wire import Refusal
from dynasor.engines.retrying import RetryBudget, wait_s
from dynasor.errors import EngineError, UsageError

_TRIAL: Final = "1 + 1 = 2"
_NO_SUCH_ENDPOINT: Final = (404, 405)


class HttpEmbeddings:
    """Implements `dynasor.engines.embedding.EmbeddingModel`; it is used within one event loop.

    A server that refuses long texts can be told to cut them by `extra_body`: vLLM's is `truncate_prompt_tokens`.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Read the key; nothing is sent yet.

        Args:
            endpoint: the server.
            clock: waits between retries.
            rng: draws the jitter of those waits; it has no part in any result.
            environ: where the key is looked up.

        Raises:
            UsageError: the key cannot be sent.
        """
        self._endpoint = replace(endpoint, stream=False)
        self._model = endpoint.model
        self._key = environ.get(endpoint.api_key_variable, "").strip()
        self._server = OpenAIServer(self._endpoint, self._key)
        self._clock = clock or WallClock()
        self._rng = rng or random.Random()
        self._budget = RetryBudget(endpoint.retries)

    def __repr__(self) -> str:
        return f"HttpEmbeddings(url={self._endpoint.url!r}, model={self._model!r})"

    async def check(self) -> None:
        """Ask the server for its models, and for one embedding.

        Raises:
            UsageError: it cannot be reached, refuses the key, has several models and none was named, or gives no
                embeddings.
            UnknownName: it has no such model.
            EngineError: it is out of order.
        """
        self._model = await self._server.chosen_model()
        try:
            await self._attempt(self._server, [_TRIAL])
        except Refusal as refusal:
            told = self._server.redacted(f"{self._endpoint.url} gives no embeddings: {refusal}")
            if refusal.status in _NO_SUCH_ENDPOINT:
                raise UsageError(f"{told}; is there an embedding model?") from None
            raise EngineError(told, retryable=refusal.retryable) from None
        except EngineError as fault:
            raise EngineError(self._server.redacted(str(fault)), retryable=fault.retryable) from None

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Ask for embeddings, all in one HTTP request, which is sent again as an engine's requests are.

        Raises:
            EngineError: the server refuses them, or fails after all retries.
        """
        return await self._insist(self._server, texts)

    def embed_in_place(self, text: str) -> Vector:
        """Ask for one over a connection of its own, in a thread with an event loop of its own, and wait for it.

        Raises:
            EngineError: the server refuses it, or fails after all retries.
        """
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, self._apart(text)).result()

    async def close(self) -> None:
        """Close all connections."""
        await self._server.close()

    async def _apart(self, text: str) -> Vector:
        server = OpenAIServer(self._endpoint, self._key)
        try:
            return (await self._insist(server, [text]))[0]
        finally:
            await server.close()

    async def _insist(self, server: OpenAIServer, texts: Sequence[str]) -> list[Vector]:
        retry_count = 0
        self._budget.deposit()
        while True:
            try:
                return await self._attempt(server, texts)
            except EngineError as fault:
                pause_s = wait_s(self._endpoint.retries, retry_count, fault, self._rng)
                if pause_s is None or not self._budget.withdraw():
                    tried = f" (tried {retry_count + 1} times)" if retry_count else ""
                    raise EngineError(server.redacted(str(fault)) + tried, retryable=fault.retryable) from None
            await self._clock.sleep(pause_s)
            retry_count += 1

    async def _attempt(self, server: OpenAIServer, texts: Sequence[str]) -> list[Vector]:
        fields: dict[str, object] = {"input": list(texts), "encoding_format": "float"}
        if self._model is not None:
            fields["model"] = self._model
        answer = _EmbeddingAnswer(len(texts))
        body = msgspec.json.encode({**fields, **self._endpoint.extra_body})
        await server.ask("/embeddings", body, answer)
        return answer.vectors


class _Entry(msgspec.Struct):
    index: int
    embedding: list[float]


class _Embeddings(msgspec.Struct):
    data: list[_Entry]


class _EmbeddingAnswer:
    """The answer to one HTTP request; it comes as a whole."""

    begun = done = False  # those of a stream

    def __init__(self, count: int) -> None:
        self.vectors: list[Vector] = []
        self._count = count

    def read(self, payload: bytes) -> None:
        entries = sorted(msgspec.json.decode(payload, type=_Embeddings).data, key=lambda entry: entry.index)
        self.vectors = [entry.embedding for entry in entries]

    def end(self) -> None:
        if len(self.vectors) != self._count:
            told = f"the server gave {len(self.vectors)} embeddings for {self._count} texts"
            raise EngineError(told, retryable=False)
