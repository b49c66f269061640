"""One engine for several hosts: each has a view of it, hears of its own requests alone, and waits for a place for each.

It moves requests and completions. Who gets a place when is decided elsewhere; it knows no tenant and no HTTP.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

from dynasor.engines.engine import Engine, Reporting
from dynasor.engines.outbox import Outbox
from dynasor.errors import UsageError
from dynasor.request import Completion, Finish, Report, Request, RequestId


class Places(Protocol):
    """Decides when a request may be at the engine."""

    def ask(self, request: Request, begin: Callable[[], None]) -> None:
        """Have `begin` called once it may, perhaps at once."""
        ...

    def withdraw(self, id: RequestId) -> None:
        """One that has not begun is wanted no more."""
        ...

    def leave(self, completion: Completion) -> None:
        """One that had begun has ended."""
        ...


class SharedEngine:
    """An engine whose requests come from several views. Used within one event loop."""

    def __init__(self, engine: Engine) -> None:
        """The engine must have been checked; it is closed with this."""
        self._engine = engine
        self._views: dict[RequestId, View] = {}
        self._busy = asyncio.Event()  # set while anything is at the engine
        self._listening: asyncio.Task[None] | None = None

    @property
    def engine(self) -> Engine:
        """The one that answers."""
        return self._engine

    def view(self, places: Places) -> "View":
        """An engine to one more host."""
        return View(self, places)

    async def close(self) -> None:
        """Abort whatever runs, tell its views, and let go of all connections."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        await self._engine.close()
        if self._views:
            self._hand_out(await self._engine.ready())

    def submit(self, request: Request, view: "View") -> None:
        """Start a request of a view."""
        self._views[request.id] = view
        self._engine.submit(request)
        self._busy.set()
        if self._listening is None:
            self._listening = asyncio.get_running_loop().create_task(self._listen())
            self._listening.add_done_callback(self._stopped)

    def cancel(self, id: RequestId) -> None:
        """Cut a request."""
        self._engine.cancel(id)

    async def _listen(self) -> None:
        while True:
            await self._busy.wait()
            ended = await self._engine.ready()
            if isinstance(self._engine, Reporting):
                for report in self._engine.take_reports():
                    if (view := self._views.get(report.id)) is not None:
                        view.hear(report)
            self._hand_out(ended)

    def _hand_out(self, ended: Iterable[Completion]) -> None:
        for completion in ended:
            view = self._views.pop(completion.id)
            if not self._views:
                self._busy.clear()
            view.take(completion)

    def _stopped(self, listening: asyncio.Task[None]) -> None:
        """The engine broke its contract by raising: what was at it ends, and others may come."""
        self._listening = None
        if listening.cancelled() or (bug := listening.exception()) is None:
            return
        told = f"fault in the engine itself: {type(bug).__name__}: {bug}"
        for id in [*self._views]:
            self._engine.cancel(id)
        self._hand_out([Completion(id=id, finish=Finish.FAILED, error=told) for id in [*self._views]])


class View:
    """A host's own part of an engine. Implements `dynasor.engines.engine.Reporting`, as far as the engine does."""

    def __init__(self, shared: SharedEngine, places: Places) -> None:
        self._shared, self._places = shared, places
        self._waiting: set[RequestId] = set()
        self._running: set[RequestId] = set()
        self._outbox = Outbox()
        self._idle = asyncio.Event()
        self._closed = False

    async def check(self) -> None:
        """The engine was checked before there was a view of it."""

    def submit(self, request: Request) -> None:
        """Start a request once there is a place for it.

        Raises:
            UsageError: a request of this id waits or runs.
        """
        id = request.id
        if id in self._waiting or id in self._running:
            raise UsageError(f"request {id.index} of program '{id.program}' is running already")
        if self._closed:
            self._outbox.put(Completion(id=id, finish=Finish.FAILED, error="the engine is closed", retryable=True))
            return
        self._waiting.add(id)
        self._places.ask(request, partial(self._begin, request))

    def cancel(self, id: RequestId) -> None:
        """Cut a request; one that waits ends at once."""
        if id in self._running:
            self._shared.cancel(id)
        elif id in self._waiting:
            self._waiting.discard(id)
            self._places.withdraw(id)
            self._outbox.put(Completion(id=id, finish=Finish.CANCELLED))

    async def ready(self) -> Sequence[Completion]:
        """Wait until a request has ended or reported; after `close`, give what is left without waiting."""
        return await self._outbox.ready()

    def take_reports(self) -> list[Report]:
        """Give the reports that were not yet taken."""
        return self._outbox.take_reports()

    async def close(self) -> None:
        """Cut what waits or runs, and wait until the engine is free of it; the engine itself stays."""
        self._closed = True
        for id in [*self._waiting, *self._running]:
            self.cancel(id)
        while self._running:
            self._idle.clear()
            await self._idle.wait()
        self._outbox.close()

    def hear(self, report: Report) -> None:
        """A request has grown; for the shared engine."""
        self._outbox.report(report)

    def take(self, completion: Completion) -> None:
        """A request has ended; for the shared engine."""
        self._running.discard(completion.id)
        self._places.leave(completion)
        self._outbox.put(completion)
        self._idle.set()

    def _begin(self, request: Request) -> None:
        self._waiting.discard(request.id)
        self._running.add(request.id)
        self._shared.submit(request, self)
