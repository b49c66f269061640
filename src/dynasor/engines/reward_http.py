"""A reward model behind HTTP: vLLM's pooling endpoints. Sends, waits and tries again; `reward_wire` knows what is said.

The server of an OpenAI engine moves the bytes here too, so that keys, timeouts and refusals are treated alike.
"""

import asyncio
import os
import random
from collections.abc import Mapping, Sequence
from typing import Final

from dynasor.clock import Clock, WallClock
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_server import OpenAIServer
from dynasor.engines.openai_wire import Refusal
from dynasor.engines.retrying import RetryBudget, wait_s
from dynasor.engines.reward_wire import Call, RewardForm, calls, rewards
from dynasor.errors import EngineError, UsageError
from dynasor.request import Message, Prompt

_TRIAL: Final = (Message("user", "What is 1 + 1?"), Message("assistant", "2"))
_NO_SUCH_ENDPOINT: Final = (404, 405)


class HttpRewardModel:
    """Scores texts by HTTP. Implements `dynasor.engines.reward_queue.RewardModel`; it is used within one event loop.

    Attributes:
        end: what stands at the end of a text that the policy has ended by itself.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        form: RewardForm | None = None,
        *,
        end: str = "",
        clock: Clock | None = None,
        rng: random.Random | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Read the key; nothing is sent yet.

        Args:
            endpoint: the server; it must not stream.
            form: how it is asked. None: at `/classify`.
            end: see above.
            clock: waits between retries.
            rng: draws the jitter of those waits; it has no part in any result.
            environ: where the key is looked up.

        Raises:
            UsageError: the key cannot be sent.
        """
        self.end = end
        self._endpoint = endpoint
        self._form = form or RewardForm()
        self._model = endpoint.model
        self._server = OpenAIServer(endpoint, environ.get(endpoint.api_key_variable, "").strip())
        self._clock = clock or WallClock()
        self._rng = rng or random.Random()
        self._budget = RetryBudget(endpoint.retries)
        self._slots = asyncio.Semaphore(endpoint.max_connections)

    def __repr__(self) -> str:
        return f"HttpRewardModel(url={self._endpoint.url!r}, model={self._model!r})"

    async def check(self) -> None:
        """Ask the server for its models, and for one reward.

        Raises:
            UsageError: it cannot be reached, refuses the key, has several models and none was named, or gives no
                rewards at this endpoint.
            UnknownName: it has no such model.
            EngineError: it is out of order.
        """
        self._model = await self._server.chosen_model()
        plain = self._form.api != "score" and not self._form.step_tag
        (call,) = calls(["1 + 1 = 2" if plain else _TRIAL], self._form, self._model)
        try:
            await self._attempt(call)
        except Refusal as refusal:
            raise self._unfit(refusal) from None
        except EngineError as fault:
            raise EngineError(self._server.redacted(str(fault)), retryable=fault.retryable) from None

    async def score(self, texts: Sequence[Prompt]) -> list[float]:
        """Score texts, plain ones in one HTTP request and each conversation in one of its own.

        Raises:
            EngineError: the endpoint cannot take such a text, refuses one, or fails after all retries.
        """
        asked = calls(texts, self._form, self._model)
        told = await asyncio.gather(*(self._insist(call) for call in asked), return_exceptions=True)
        scores = dict[int, float]()
        for call, outcome in zip(asked, told, strict=True):
            if isinstance(outcome, BaseException):
                raise outcome
            scores |= zip(call.places, outcome, strict=True)
        return [scores[place] for place in range(len(texts))]

    async def close(self) -> None:
        """Close all connections."""
        await self._server.close()

    async def _insist(self, call: Call) -> list[float]:
        retry_count = 0
        self._budget.deposit()
        while True:
            try:
                return await self._attempt(call)
            except EngineError as fault:
                pause_s = wait_s(self._endpoint.retries, retry_count, fault, self._rng)
                if pause_s is None or not self._budget.withdraw():
                    tried = f" (tried {retry_count + 1} times)" if retry_count else ""
                    raise EngineError(self._server.redacted(str(fault)) + tried, retryable=fault.retryable) from None
            await self._clock.sleep(pause_s)
            retry_count += 1

    async def _attempt(self, call: Call) -> list[float]:
        answer = _RewardAnswer(self._form, len(call.places))
        async with self._slots:
            await self._server.ask(self._form.path, call.body, answer)
        return answer.scores

    def _unfit(self, refusal: Refusal) -> UsageError | EngineError:
        told = self._server.redacted(f"{self._endpoint.url} gives no rewards: {refusal}")
        if refusal.status in _NO_SUCH_ENDPOINT:
            return UsageError(f"{told}; is there a reward model at api={self._form.api}?")
        return EngineError(told, retryable=refusal.retryable)


class _RewardAnswer:
    """The answer to one call; it comes as a whole."""

    begun = done = False  # those of a stream

    def __init__(self, form: RewardForm, count: int) -> None:
        self.scores: list[float] = []
        self._form = form
        self._count = count

    def read(self, payload: bytes) -> None:
        self.scores = rewards(payload, self._form)

    def end(self) -> None:
        if len(self.scores) != self._count:
            told = f"the reward model gave {len(self.scores)} figures for {self._count} texts"
            raise EngineError(told, retryable=False)
