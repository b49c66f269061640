"""The live engine: any server that speaks the OpenAI HTTP API (vLLM, SGLang, TensorRT-LLM, llama.cpp, hosted ones).

A request is a task here, and at most one connection at the server at any time; to cancel a request is to close its
connection. `openai_server` moves the bytes, `openai_request` and `openai_wire` know what they mean, `retrying` what is
tried again.
"""

import asyncio
import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import msgspec

from dynasor.clock import Clock, WallClock
from dynasor.engines.attempts import Attempts, Unheard
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_request import Dialect, encoded, explained
from dynasor.engines.openai_server import OpenAIServer
from dynasor.engines.openai_wire import Answer
from dynasor.engines.outbox import Outbox
from dynasor.engines.reporting import Milestones
from dynasor.engines.retrying import RetryBudget, wait_s
from dynasor.errors import EngineError, UsageError
from dynasor.request import Completion, Finish, Report, Request, RequestId


class OpenAIEngine:
    """Answers requests by HTTP. Implements `dynasor.engines.engine.Reporting`; it is used within one event loop.

    A request that fails on its way (connection, timeout, overload, a stream cut off) is sent again from scratch, within
    the limits of `Endpoint.retries`. Tokens that broken attempts had streamed count as spent: they are added to the
    `tokens` of the completion. Attempts that were not streamed have no known count, and add nothing. Reports are of one
    attempt: those of the next begin again at no text and zero tokens. Only what is streamed is reported of.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        environ: Mapping[str, str] = os.environ,
        attempts: Attempts | None = None,
    ) -> None:
        """Read the key; nothing is sent yet.

        Args:
            endpoint: the server.
            clock: waits between retries.
            rng: draws the jitter of those waits; it has no part in any result.
            environ: where the key is looked up.
            attempts: is told of each attempt.

        Raises:
            UsageError: the key cannot be sent.
        """
        self._endpoint, self._attempts = endpoint, attempts or Unheard()
        self._sender = uuid4().hex[:8]
        self._model = endpoint.model
        self._server = OpenAIServer(endpoint, environ.get(endpoint.api_key_variable, "").strip())
        self._clock = clock or WallClock()
        self._rng = rng or random.Random()
        self._budget = RetryBudget(endpoint.retries)
        self._dialect = Dialect()
        self._slots = asyncio.Semaphore(endpoint.max_connections)
        self._calls: dict[RequestId, _Call] = {}
        self._outbox = Outbox()
        self._closed = False

    def __repr__(self) -> str:
        return f"OpenAIEngine(url={self._endpoint.url!r}, model={self._model!r})"

    @property
    def model(self) -> str | None:
        """The model's name: the one asked for, or after `check` the only one that the server has."""
        return self._model

    async def check(self) -> None:
        """Ask the server for its models.

        Raises:
            UsageError: it cannot be reached, refuses the key, or has several models and none was named.
            UnknownName: it has no such model.
            EngineError: it is out of order.
        """
        self._model = await self._server.chosen_model()

    def submit(self, request: Request) -> None:
        """Start a request. Whatever is wrong with it or with the server comes back as a completion.

        Raises:
            UsageError: a request of this id is running; with two of them, "exactly one completion" has no meaning.
        """
        if request.id in self._calls:
            raise UsageError(f"request {request.id.index} of program '{request.id.program}' is running already")
        call = _Call(request)
        if self._closed:
            self._outbox.put(self._failed(call, EngineError("the engine is closed", retryable=True)))
            return
        call.task = asyncio.get_running_loop().create_task(self._complete(call))
        call.task.add_done_callback(lambda task: self._settle(call, task))
        self._calls[request.id] = call

    def cancel(self, id: RequestId) -> None:
        """Close the request's connection; its completion holds the text and tokens that had come by then.

        Its `tokens` are None where nobody knows them: the request was sent, and its answer is not streamed.
        """
        if (call := self._calls.get(id)) is not None and call.task is not None:
            call.task.cancel()

    async def ready(self) -> Sequence[Completion]:
        """Wait until a request has ended or reported; after `close`, give what is left without waiting."""
        return await self._outbox.ready()

    def take_reports(self) -> list[Report]:
        """Give the reports that were not yet taken."""
        return self._outbox.take_reports()

    async def close(self) -> None:
        """Cancel what runs (`ready` still gives those completions) and close all connections."""
        self._closed = True
        tasks = [call.task for call in self._calls.values() if call.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._server.close()
        self._outbox.close()

    def _settle(self, call: "_Call", task: asyncio.Task[Completion]) -> None:
        """The one way out for every request, also for one that was cancelled before its task took a single step."""
        del self._calls[call.request.id]
        if task.cancelled():
            self._outbox.put(call.cancelled())
        elif (bug := task.exception()) is not None:
            fault = EngineError(f"fault in the engine itself: {type(bug).__name__}: {bug}", retryable=False)
            self._outbox.put(self._failed(call, fault))
        else:
            self._outbox.put(task.result())

    async def _complete(self, call: "_Call") -> Completion:
        while True:
            outcome = await self._attempt(call)
            if isinstance(outcome, Answer):
                return outcome.completion(call.request, call.spent_tokens)
            if self._adapt(call.dialect, outcome):
                continue
            pause_s = wait_s(self._endpoint.retries, call.retry_count, outcome, self._rng)
            if pause_s is None or not self._budget.withdraw():
                return self._failed(call, explained(outcome, self._endpoint))
            await self._clock.sleep(pause_s)
            call.retry_count += 1

    async def _attempt(self, call: "_Call") -> Answer | EngineError:
        async with self._slots:
            if not call.retry_count:
                self._budget.deposit()
            call.dialect = self._dialect
            try:
                path, body = encoded(call.request, self._endpoint, self._model, call.dialect, self._sender)
                call.answer = self._new_answer(call.request)
                headers = self._attempts.begin(call.request, self._endpoint.url)
                await self._server.ask(path, body, call.answer, headers)
            except EngineError as fault:
                self._attempts.lost(call.request.id, self._endpoint.url, fault)
                call.write_off()
                return fault
        return call.answer

    def _new_answer(self, request: Request) -> Answer:
        if request.report_every is None:
            return Answer(streamed=self._endpoint.stream)
        return _ReportedAnswer(request.id, Milestones(request.report_every), self._outbox.report)

    def _adapt(self, spoken: Dialect, fault: EngineError) -> bool:
        """Whether to ask again in another dialect. Many requests may learn the same of one server at once."""
        if spoken.adapted(fault) is None:
            return False
        self._dialect = self._dialect.adapted(fault) or self._dialect
        return True

    def _failed(self, call: "_Call", fault: EngineError) -> Completion:
        tried = f" (tried {call.retry_count + 1} times)" if call.retry_count else ""
        return Completion(
            id=call.request.id,
            finish=Finish.FAILED,
            tokens=call.spent_tokens,
            error=self._server.redacted(str(fault)) + tried,
            retryable=fault.retryable,
        )


class _ReportedAnswer(Answer):
    """A streamed answer that tells of itself as it grows."""

    def __init__(self, id: RequestId, milestones: Milestones, tell: Callable[[Report], None]) -> None:
        super().__init__(streamed=True)
        self._id, self._milestones, self._tell = id, milestones, tell

    def read(self, payload: bytes) -> None:
        super().read(payload)
        if not self.ended and self._milestones.passed(self.tokens or 0):
            self._tell(self.report(self._id))


@dataclass(slots=True)
class _Call:
    """A request on its way."""

    request: Request
    task: asyncio.Task[Completion] | None = None
    answer: Answer | None = None  # None: nothing of it is at the server
    dialect: Dialect = field(default_factory=Dialect)  # spoken in the latest attempt
    spent_tokens: int = 0  # in broken attempts
    retry_count: int = 0

    def write_off(self) -> None:
        """Keep of a broken attempt only what it cost."""
        if self.answer is not None:
            self.spent_tokens += self.answer.tokens or 0
        self.answer = None

    def cancelled(self) -> Completion:
        """What there is of it, as a completion."""
        if self.answer is None:
            return Completion(id=self.request.id, finish=Finish.CANCELLED, tokens=self.spent_tokens)
        so_far = self.answer.completion(self.request, self.spent_tokens)
        return msgspec.structs.replace(so_far, finish=Finish.CANCELLED)
