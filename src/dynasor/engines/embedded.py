"""The embedded engine: llama.cpp in this process, so that any GGUF file answers without a server.

At most as many requests as there are slots are at llama.cpp; the others wait here, and here alone, in their order. A
request at llama.cpp is a thread that waits for it; to cut one is to answer its next chunk with "stop".
`embedded_server` asks llama.cpp, `embedded_wire` knows what requests and answers mean.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from dynasor.engines.embedded_file import GgufFile, read_gguf
from dynasor.engines.embedded_memory import available_bytes, check_memory
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.engines.embedded_server import LlamaServer, Loading
from dynasor.engines.embedded_threads import Threads
from dynasor.engines.embedded_wire import EmbeddedAnswer, encoded
from dynasor.engines.outbox import Outbox
from dynasor.engines.reporting import Milestones
from dynasor.errors import EngineError, UsageError
from dynasor.request import Completion, Finish, Report, Request, RequestId


class EmbeddedEngine:
    """Answers requests in this process, within one event loop. Implements `dynasor.engines.engine.Reporting`.

    The same seed gives the same text where a request runs alone; beside others the sums of floating-point numbers are
    taken in another order, and a text may take another turn.
    """

    def __init__(self, model: EmbeddedModel) -> None:
        """Nothing is read or loaded before `check`."""
        self._model = model
        self._loaded: _Loaded | None = None
        self._waiting: dict[RequestId, _Call] = {}
        self._running: dict[RequestId, _Call] = {}
        self._outbox = Outbox()
        self._closed = False

    def __repr__(self) -> str:
        return f"EmbeddedEngine(file={str(self._model.file)!r})"

    @property
    def slot_count(self) -> int:
        """Requests that are answered at one time."""
        return self._model.slot_count

    @property
    def queued_count(self) -> int:
        """Requests that wait for a slot."""
        return len(self._waiting)

    async def check(self) -> None:
        """Load the model.

        Raises:
            MissingExtra: llama.cpp is not installed.
            UsageError: the file is missing or torn, llama.cpp refuses it, or it does not fit into memory.
        """
        file = read_gguf(self._model.file)
        loading = _loading(self._model, file)
        check_memory(file, loading.slots, loading.context_tokens, available_bytes())
        loaded = _Loaded(file, LlamaServer(loading), Threads(loading.slots, "dynasor engine"))
        try:
            await loaded.threads.start(loaded.server.load)
        except BaseException:
            loaded.threads.close()
            raise
        self._loaded = loaded

    def submit(self, request: Request) -> None:
        """Start a request, or have it wait its turn. Whatever is wrong with it comes back as a completion.

        Raises:
            UsageError: a request of this id is running; with two of them, "exactly one completion" has no meaning.
        """
        if request.id in self._running or request.id in self._waiting:
            raise UsageError(f"request {request.id.index} of program '{request.id.program}' is running already")
        call = _Call(request)
        if self._closed or self._loaded is None:
            told = "the engine is closed" if self._closed else "no model is loaded; await check() first"
            self._outbox.put(call.failed(EngineError(told, retryable=self._closed)))
            return
        self._waiting[request.id] = call
        self._fill(self._loaded)

    def cancel(self, id: RequestId) -> None:
        """Cut a request: at once where it waits, else at its next token. Its completion holds what there was then."""
        if (call := self._waiting.pop(id, None)) is not None:
            self._outbox.put(call.answer.cancelled(call.request))
        elif (call := self._running.get(id)) is not None:
            call.cancelled = True

    async def ready(self) -> Sequence[Completion]:
        """Wait until a request has ended or reported; after `close`, give what is left without waiting."""
        return await self._outbox.ready()

    def take_reports(self) -> list[Report]:
        """Give the reports that were not yet taken."""
        return self._outbox.take_reports()

    async def close(self) -> None:
        """Cut what runs (`ready` still gives those completions), end the threads, and let go of the model."""
        self._closed = True
        for id in [*self._waiting, *self._running]:
            self.cancel(id)
        futures = [call.future for call in self._running.values() if call.future is not None]
        if futures:
            await asyncio.wait(futures)
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            await loaded.threads.start(loaded.server.free)
            loaded.threads.close()
        self._outbox.close()

    def _fill(self, loaded: "_Loaded") -> None:
        """Give free slots to those who wait: the one place that says who is next."""
        tell = partial(_tell, asyncio.get_running_loop(), self._outbox)
        while self._waiting and len(self._running) < self._model.slot_count:
            id = next(iter(self._waiting))
            call = self._running[id] = self._waiting.pop(id)
            call.future = loaded.threads.start(partial(_ask, loaded, self._model, call, tell))
            call.future.add_done_callback(partial(self._settle, loaded, call))

    def _settle(self, loaded: "_Loaded", call: "_Call", future: "asyncio.Future[None]") -> None:
        """The one way out for every request that was at llama.cpp."""
        del self._running[call.request.id]
        fault = future.exception()
        if call.cancelled:
            self._outbox.put(call.answer.cancelled(call.request))
        elif fault is None:
            self._outbox.put(call.completion())
        elif isinstance(fault, EngineError):
            self._outbox.put(call.failed(fault))
        else:
            told = f"fault in the engine itself: {type(fault).__name__}: {fault}"
            self._outbox.put(call.failed(EngineError(told, retryable=False)))
        self._fill(loaded)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model in memory, and the threads that ask it."""

    file: GgufFile
    server: LlamaServer
    threads: Threads


@dataclass(slots=True)
class _Call:
    """A request on its way. A thread writes its answer; the event loop reads it once the thread is done."""

    request: Request
    answer: EmbeddedAnswer = field(default_factory=EmbeddedAnswer)
    future: "asyncio.Future[None] | None" = None
    cancelled: bool = False

    def completion(self) -> Completion:
        """What came of it."""
        try:
            return self.answer.completion(self.request)
        except EngineError as fault:
            return self.failed(fault)

    def failed(self, fault: EngineError) -> Completion:
        """It has no text to vote with; its tokens were spent all the same."""
        return Completion(
            id=self.request.id,
            finish=Finish.FAILED,
            tokens=self.answer.tokens,
            error=str(fault),
            retryable=fault.retryable,
        )


def _ask(loaded: _Loaded, model: EmbeddedModel, call: _Call, tell: Callable[[Report], None]) -> None:
    """Wait for an answer, in a thread."""
    stopping, milestones = loaded.threads.stopping, Milestones(call.request.report_every)

    def take(chunk: object) -> bool:
        call.answer.read(chunk)
        if milestones.passed(call.answer.tokens) and not call.answer.ended:
            tell(call.answer.report(call.request.id))
        return call.cancelled or call.answer.fault is not None or stopping.is_set()

    if not call.cancelled:
        chat, fields = encoded(call.request, model, has_template=loaded.file.has_chat_template)
        loaded.server.ask(fields, take, chat=chat)


def _tell(loop: asyncio.AbstractEventLoop, outbox: Outbox, report: Report) -> None:
    """Hand over a report, from a thread."""
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(outbox.report, report)


def _loading(model: EmbeddedModel, file: GgufFile) -> Loading:
    if model.api == "chat" and not file.has_chat_template:
        raise UsageError(f"{file.path.name} has no chat template; set api to 'completions' or 'auto' (--api)")
    return Loading(
        file=file.path,
        slots=model.slot_count,
        context_tokens=file.context_tokens(model),
        threads=model.threads,
    )
