"""What every engine must do: the contract in `dynasor.engines.engine`, as tests.

Subclass `EngineContract` in the engine's own test module, under a name that starts with Test, and override its
fixtures; for an engine that reports, `ReportingContract`. The requests that `answering`, `long_running`, `failing` and
`growing` make differ by their index and may be mixed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import cast

import pytest
from msgspec.structs import replace

from dynasor.engines.engine import Engine, Reporting
from dynasor.request import Completion, Finish, ProgramId, Report, Request, RequestId

MakeRequest = Callable[[int], Request]
LIMIT_S = 60.0  # to tell a wait without end from one beside other work


async def collect(engine: Engine, count: int) -> list[Completion]:
    """Wait for so many completions, and give them in the order of their requests' indices."""
    completions: list[Completion] = []
    async with asyncio.timeout(LIMIT_S):
        while len(completions) < count:
            ended = await engine.ready()
            assert ended, "ready() may not come back with nothing while requests are running"
            completions += ended
    return sorted(completions, key=lambda completion: completion.id.index)


async def collect_reports(engine: Engine, count: int) -> tuple[list[Report], list[Completion]]:
    """The same for an engine that reports, and all reports, as they came; none may come after its completion."""
    reports: list[Report] = []
    completions: list[Completion] = []
    async with asyncio.timeout(LIMIT_S):
        while len(completions) < count:
            ended, told = await engine.ready(), cast(Reporting, engine).take_reports()
            assert ended or told, "ready() may not come back with nothing while requests are running"
            assert not {report.id for report in told} & {completion.id for completion in completions}
            completions += ended
            reports += told
    return reports, sorted(completions, key=lambda completion: completion.id.index)


class EngineContract:
    @pytest.fixture
    def make_engine(self) -> Callable[[], Engine]:
        """Make an engine that is ready for `check`."""
        raise NotImplementedError

    @pytest.fixture
    def answering(self) -> MakeRequest:
        """Make a request (of index 0 to 199) that is answered soon."""
        raise NotImplementedError

    @pytest.fixture
    def long_running(self) -> MakeRequest:
        """Make a request (of index 300 to 309) that does not end by itself while a test runs."""
        raise NotImplementedError

    @pytest.fixture
    def failing(self) -> MakeRequest:
        """Make a request (of index 400) that the engine cannot answer."""
        raise NotImplementedError

    @pytest.fixture
    async def engine(self, make_engine: Callable[[], Engine]) -> AsyncIterator[Engine]:
        engine = make_engine()
        await engine.check()
        yield engine
        await engine.close()

    async def test_every_request_ends_in_exactly_one_completion(self, engine: Engine, answering: MakeRequest) -> None:
        requests = [answering(index) for index in range(199)]
        for request in requests:
            engine.submit(request)
        ended = await collect(engine, len(requests))
        assert [completion.id for completion in ended] == [request.id for request in requests]
        assert {completion.finish for completion in ended} <= {Finish.STOP, Finish.LENGTH}
        last = answering(199)
        engine.submit(last)
        assert [completion.id for completion in await collect(engine, 1)] == [last.id]

    async def test_cancel_ends_a_running_request_soon_and_once(
        self, engine: Engine, answering: MakeRequest, long_running: MakeRequest
    ) -> None:
        short, long = answering(0), long_running(300)
        engine.submit(long)
        engine.submit(short)
        engine.cancel(long.id)
        engine.cancel(long.id)
        done, cut = await collect(engine, 2)
        assert (done.id, done.finish) == (short.id, Finish.STOP)
        assert (cut.id, cut.finish, cut.error) == (long.id, Finish.CANCELLED, None)
        engine.cancel(long.id)
        engine.submit(answering(1))
        assert [completion.id for completion in await collect(engine, 1)] == [answering(1).id]

    async def test_a_cancelled_request_does_not_hold_back_the_others(
        self, engine: Engine, answering: MakeRequest, long_running: MakeRequest
    ) -> None:
        long = [long_running(300 + index) for index in range(10)]
        for request in long:
            engine.submit(request)
        engine.submit(answering(0))
        first = await collect(engine, 1)
        assert [completion.id for completion in first] == [answering(0).id], first
        for request in long:
            engine.cancel(request.id)
        cut = await collect(engine, len(long))
        assert [(completion.id, completion.finish) for completion in cut] == [
            (request.id, Finish.CANCELLED) for request in long
        ]

    async def test_to_cancel_what_has_ended_or_is_unknown_does_nothing(
        self, engine: Engine, answering: MakeRequest
    ) -> None:
        engine.cancel(RequestId(ProgramId("never heard of"), 0))
        engine.submit(answering(0))
        (first,) = await collect(engine, 1)
        engine.cancel(first.id)
        engine.submit(answering(1))
        (second,) = await collect(engine, 1)
        assert (first.finish, second.id, second.finish) == (Finish.STOP, answering(1).id, Finish.STOP)

    async def test_a_fault_is_a_completion(self, engine: Engine, answering: MakeRequest, failing: MakeRequest) -> None:
        engine.submit(failing(400))
        engine.submit(answering(0))
        done, failed = await collect(engine, 2)
        assert done.finish is Finish.STOP
        assert (failed.id, failed.finish, failed.text) == (failing(400).id, Finish.FAILED, "")
        assert failed.error
        assert "\n" not in failed.error

    async def test_close_leaves_nothing_running(
        self, make_engine: Callable[[], Engine], answering: MakeRequest, long_running: MakeRequest
    ) -> None:
        tasks_before = asyncio.all_tasks()
        engine = make_engine()
        try:
            await engine.check()
            for index in range(10):
                engine.submit(long_running(300 + index))
            engine.submit(answering(0))
            await collect(engine, 1)
        finally:  # also for a test that fails: what is left open would fail another
            await asyncio.wait_for(engine.close(), LIMIT_S)
        assert asyncio.all_tasks() == tasks_before

    async def test_an_idle_engine_closes(self, make_engine: Callable[[], Engine]) -> None:
        await asyncio.wait_for(make_engine().close(), LIMIT_S)


class ReportingContract(EngineContract):
    @pytest.fixture
    def growing(self) -> MakeRequest:
        """Make a request (of index 500 to 509) whose answer is soon there and has seven tokens or more."""
        raise NotImplementedError

    async def test_reports_tell_how_an_answer_grows(self, engine: Engine, growing: MakeRequest) -> None:
        distances = {500: 1, 501: 2, 502: 5}
        for index, every in distances.items():
            engine.submit(replace(growing(index), report_every=every))
        reports, ended = await collect_reports(engine, len(distances))
        assert [completion.finish.is_whole for completion in ended] == [True, True, True]
        for whole, every in zip(ended, distances.values(), strict=True):
            told = [report for report in reports if report.id == whole.id]
            assert told
            assert all(first.tokens // every < second.tokens // every for first, second in pairwise(told))
            assert every <= told[0].tokens <= told[-1].tokens <= (whole.tokens or 0)
            texts = [*(report.text for report in told), whole.text]
            assert all(second.startswith(first) for first, second in pairwise(texts))
            assert len(told) == 1 or len(texts[0]) < len(texts[-2])

    async def test_nobody_reports_unasked(self, engine: Engine, growing: MakeRequest) -> None:
        engine.submit(growing(500))
        assert (await collect_reports(engine, 1))[0] == []

    async def test_a_request_reports_until_it_is_cut(
        self, engine: Engine, answering: MakeRequest, long_running: MakeRequest
    ) -> None:
        long = replace(long_running(300), report_every=2)
        engine.submit(long)
        async with asyncio.timeout(LIMIT_S):
            assert list(await engine.ready()) == []
        first = cast(Reporting, engine).take_reports()[0]
        assert (first.id, first.tokens >= 2) == (long.id, True)
        engine.cancel(long.id)
        _, (cut,) = await collect_reports(engine, 1)
        assert (cut.id, cut.finish, cut.text.startswith(first.text)) == (long.id, Finish.CANCELLED, True)
        assert (cut.tokens or 0) >= first.tokens
        engine.submit(answering(0))
        assert (await collect_reports(engine, 1))[0] == []
