"""One engine for several hosts: each view keeps an engine's contract, and hears of its own requests alone."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from dynasor.engines.endpoint import Endpoint
from dynasor.engines.engine import Engine
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.engines.shared import SharedEngine, View
from dynasor.errors import UsageError
from dynasor.request import Completion, Finish, Request, RequestId
from support.engine_contract import MakeRequest, ReportingContract, collect
from support.faulty_server import FaultyServer
from support.live_engine import request, until


class Open:
    """There is always a place."""

    def ask(self, request: Request, begin: Callable[[], None]) -> None:
        begin()

    def withdraw(self, id: RequestId) -> None:
        raise AssertionError("nothing waits")

    def leave(self, completion: Completion) -> None:
        pass


class Few:
    """So many places for all views."""

    def __init__(self, places: int) -> None:
        self.free = places
        self.line: dict[RequestId, Callable[[], None]] = {}

    def ask(self, request: Request, begin: Callable[[], None]) -> None:
        self.line[request.id] = begin
        self._serve()

    def withdraw(self, id: RequestId) -> None:
        del self.line[id]

    def leave(self, completion: Completion) -> None:
        self.free += 1
        self._serve()

    def _serve(self) -> None:
        while self.free and self.line:
            self.free -= 1
            self.line.pop(next(iter(self.line)))()


class OnlyView(View):
    """With which the engine is closed too."""

    def __init__(self, shared: SharedEngine) -> None:
        super().__init__(shared, Open())

    async def close(self) -> None:
        await super().close()
        await self._shared.close()


class TestViewContract(ReportingContract):
    """All that an engine must do, through a view of a live one."""

    @pytest.fixture
    def make_engine(self, server: FaultyServer) -> Callable[[], Engine]:
        endpoint = Endpoint(server.url, "tiny", max_connections=32)
        return lambda: OnlyView(SharedEngine(OpenAIEngine(endpoint, environ={})))

    @pytest.fixture
    def answering(self) -> MakeRequest:
        return lambda index: request(f"question {index}", index=index)

    @pytest.fixture
    def long_running(self) -> MakeRequest:
        return lambda index: request("[[fault: hang=3]]", index=index)

    @pytest.fixture
    def failing(self) -> MakeRequest:
        return lambda index: request("[[fault: status=422 message=no]]", index=index)

    @pytest.fixture
    def growing(self) -> MakeRequest:
        return lambda index: request("[[fault: tokens=20]]", index=index)


@pytest.fixture
async def shared(server: FaultyServer) -> AsyncIterator[SharedEngine]:
    shared = SharedEngine(OpenAIEngine(Endpoint(server.url, "tiny"), environ={}))
    yield shared
    await shared.close()


async def test_each_view_hears_of_its_own_requests(shared: SharedEngine) -> None:
    views = [shared.view(Open()) for _ in range(3)]
    for index in range(9):
        views[index % 3].submit(request(f"question {index}", index=index))
    for place, view in enumerate(views):
        assert [completion.id.index for completion in await collect(view, 3)] == [place, place + 3, place + 6]


async def test_what_waits_begins_when_another_view_has_ended(shared: SharedEngine) -> None:
    places = Few(1)
    first, second = shared.view(places), shared.view(places)
    first.submit(request("[[fault: hang=2]]", index=0))
    second.submit(request("question", index=1))
    assert list(places.line) == [request("", index=1).id]
    with pytest.raises(UsageError, match="running already"):
        second.submit(request("question", index=1))
    first.cancel(request("", index=0).id)
    assert (await collect(first, 1))[0].finish is Finish.CANCELLED
    assert (await collect(second, 1))[0].finish is Finish.STOP
    assert places.free == 1


async def test_what_waits_is_cut_at_once(shared: SharedEngine) -> None:
    places = Few(0)
    view = shared.view(places)
    view.submit(request("question", index=0))
    view.cancel(request("", index=0).id)
    assert [completion.finish for completion in await collect(view, 1)] == [Finish.CANCELLED]
    assert not places.line


async def test_a_view_that_is_closed_leaves_the_others(shared: SharedEngine) -> None:
    view, other = shared.view(Open()), shared.view(Open())
    view.submit(request("[[fault: hang=2]]", index=0))
    other.submit(request("question", index=1))
    await view.close()
    assert [completion.finish for completion in await view.ready()] == [Finish.CANCELLED]
    view.submit(request("question", index=2))
    assert [completion.error for completion in await view.ready()] == ["the engine is closed"]
    assert (await collect(other, 1))[0].finish is Finish.STOP


class Breaking:
    """An engine that raises, once."""

    def __init__(self) -> None:
        self.sent: list[Request] = []
        self.broken = False

    async def check(self) -> None: ...

    def submit(self, request: Request) -> None:
        self.sent.append(request)

    def cancel(self, id: RequestId) -> None: ...

    async def ready(self) -> Sequence[Completion]:
        if not self.broken:
            self.broken = True
            raise ZeroDivisionError
        sent, self.sent = self.sent, []
        if not sent:
            await asyncio.Event().wait()
        return [Completion(id=request.id) for request in sent]

    async def close(self) -> None: ...


async def test_an_engine_that_breaks_its_contract_leaves_nobody_waiting() -> None:
    engine = Breaking()
    shared = SharedEngine(engine)
    view = shared.view(Open())
    view.submit(request("question", index=0))
    failed = await collect(view, 1)
    assert (failed[0].finish, failed[0].error) == (Finish.FAILED, "fault in the engine itself: ZeroDivisionError: ")
    engine.sent.clear()
    view.submit(request("question", index=1))
    await until(lambda: engine.broken)
    assert [completion.finish for completion in await collect(view, 1)] == [Finish.STOP]
    await shared.close()
