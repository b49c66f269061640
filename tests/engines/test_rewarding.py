import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import chain
from typing import Any

import pytest
from msgspec.structs import replace

from dynasor.engines.endpoint import Endpoint
from dynasor.engines.engine import Engine
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.engines.recorded import RecordedEngine
from dynasor.engines.reward_queue import MOST_TEXTS
from dynasor.engines.rewarding import RewardedEngine
from dynasor.errors import UsageError
from dynasor.request import Completion, Finish, Message, ProgramId, Prompt, Report, Request, RequestId, Sample, Sampling
from support.engine_contract import LIMIT_S, MakeRequest, ReportingContract, collect
from support.faulty_server import FaultyServer
from support.live_engine import request as plain_request
from support.live_engine import until
from support.reward_models import LengthReward, ToldEngine


def request(prompt: Prompt = "Q", *, index: int = 0, scored: bool = True) -> Request:
    return Request(RequestId(ProgramId("p"), index), prompt, Sampling(), scored=scored)


def done(asked: Request, text: str = "A", **fields: Any) -> Completion:
    return replace(Completion(id=asked.id, text=text, tokens=5, prompt_tokens=3), **fields)


class TestRewardedContract(ReportingContract):
    """All that an engine must do, with a live one inside, and every request scored."""

    @pytest.fixture
    def make_engine(self, server: FaultyServer) -> Callable[[], Engine]:
        endpoint = Endpoint(server.url, "tiny", max_connections=32)
        return lambda: RewardedEngine(OpenAIEngine(endpoint, environ={}), LengthReward())

    @pytest.fixture
    def answering(self) -> MakeRequest:
        return lambda index: replace(plain_request(f"question {index}", index=index), scored=True)

    @pytest.fixture
    def long_running(self) -> MakeRequest:
        return lambda index: replace(plain_request("[[fault: hang=3]]", index=index), scored=True)

    @pytest.fixture
    def failing(self) -> MakeRequest:
        return lambda index: replace(plain_request("[[fault: status=422 message=no]]", index=index), scored=True)

    @pytest.fixture
    def growing(self) -> MakeRequest:
        return lambda index: replace(plain_request("[[fault: tokens=20]]", index=index), scored=True)

    async def test_every_completion_has_its_reward(self, engine: Engine, answering: MakeRequest) -> None:
        requests = [answering(index) for index in range(20)]
        for each in requests:
            engine.submit(each)
        for each, completion in zip(requests, await collect(engine, 20), strict=True):
            assert completion.reward == len(f"{each.prompt}{completion.text}<end>") / 1000


@pytest.fixture
def inner() -> ToldEngine:
    return ToldEngine()


@pytest.fixture
def model() -> LengthReward:
    return LengthReward()


@pytest.fixture
async def engine(inner: ToldEngine, model: LengthReward) -> AsyncIterator[RewardedEngine]:
    engine = RewardedEngine(inner, model)
    await engine.check()
    yield engine
    await engine.close()
    assert model.events == ["check", "close"]


async def scored(engine: RewardedEngine, inner: ToldEngine, asked: Request, completion: Completion) -> Completion:
    engine.submit(asked)
    inner.end(completion)
    (ended,) = await collect(engine, 1)
    return ended


CHAT = (Message("user", "Q"),)


@pytest.mark.parametrize(
    ("asked", "fields", "text"),
    [
        (request("Q\n"), {}, "Q\nA<end>"),
        (request("Q\n"), {"stopped_at": "\n\n"}, "Q\nA\n\n"),
        (request("Q\n"), {"stopped_at": ""}, "Q\nA"),
        (request("Q\n"), {"finish": Finish.LENGTH}, "Q\nA"),
        (request(CHAT), {}, "Q\nA<end>"),
        (request((*CHAT, Message("assistant", "step 1. "))), {"stopped_at": "\n"}, "Q\nstep 1. A\n"),
    ],
)
async def test_what_is_scored(
    engine: RewardedEngine,
    inner: ToldEngine,
    model: LengthReward,
    asked: Request,
    fields: dict[str, Any],
    text: str,
) -> None:
    whole = done(asked, **fields)
    assert await scored(engine, inner, asked, whole) == replace(whole, reward=len(text) / 1000)
    assert model.calls == [[text]]


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        (request(scored=False), {}),
        (request(), {"finish": Finish.FAILED, "error": "no"}),
        (request(), {"finish": Finish.CANCELLED}),
        (request(), {"reward": 0.25}),
    ],
)
async def test_what_passes_as_it_is(
    engine: RewardedEngine, inner: ToldEngine, model: LengthReward, asked: Request, fields: dict[str, Any]
) -> None:
    whole = done(asked, **fields)
    assert await scored(engine, inner, asked, whole) == whole
    assert model.calls == []


async def test_what_waits_goes_together_in_order_and_holds_nobody_back(
    engine: RewardedEngine, inner: ToldEngine, model: LengthReward
) -> None:
    model.gate.clear()
    asked = [request(f"Q{index}.", index=index) for index in range(MOST_TEXTS + 3)]
    other = request(index=500, scored=False)
    for each in [*asked, other]:
        engine.submit(each)
    inner.end(done(asked[0]))
    inner.end(done(other))
    assert [completion.id for completion in await collect(engine, 1)] == [other.id]
    await until(lambda: len(model.calls) == 1)
    engine.submit(other)
    inner.end(*map(done, asked[1:]), done(other))
    await collect(engine, 1)
    model.gate.set()
    ended = await collect(engine, len(asked))
    assert [len(call) for call in model.calls] == [1, MOST_TEXTS, 2]
    assert list(chain(*model.calls)) == [f"{each.prompt}A<end>" for each in asked]
    assert [completion.reward for completion in ended] == [len(f"{each.prompt}A<end>") / 1000 for each in asked]


@pytest.mark.parametrize("scoring", [True, False])
async def test_a_completion_is_cut_while_it_waits(
    engine: RewardedEngine, inner: ToldEngine, model: LengthReward, scoring: bool
) -> None:
    model.gate.clear()
    first, second = request("first", index=0), request("second", index=1)
    for each in (first, second):
        engine.submit(each)
    inner.end(done(first))
    waiting = asyncio.create_task(collect(engine, 1))
    await until(lambda: len(model.calls) == 1)
    inner.end(done(second))
    await until(lambda: second.id in engine._queue)
    with pytest.raises(UsageError, match=r"^request 1 of program 'p' is running already$"):
        engine.submit(second)
    cut = first if scoring else second
    engine.cancel(cut.id)
    engine.cancel(cut.id)
    assert await waiting == [replace(done(cut), finish=Finish.CANCELLED)]
    engine.submit(cut)
    inner.end(done(cut, "again"))
    model.gate.set()
    ended = await collect(engine, 2)
    assert [completion.text for completion in ended] == (["again", "A"] if scoring else ["A", "again"])
    assert all(completion.reward for completion in ended)
    assert model.calls[0] == ["firstA<end>"]
    assert sorted(chain(*model.calls[1:])) == sorted([f"{cut.prompt}again<end>"] + ["secondA<end>"] * scoring)


@pytest.mark.parametrize(
    ("text", "error", "retryable"),
    [
        ("refused", "no reward: told to fail", False),
        ("outage", "no reward: told to fail", True),
        ("nan", "no reward: the reward model gave nan, and a reward is a probability, from 0 to 1", False),
        ("large", "no reward: the reward model gave 7.5, and a reward is a probability, from 0 to 1", True),
        ("bug", "no reward: fault in the reward model itself: ZeroDivisionError: told to fail", False),
        ("few", "no reward: the reward model gave 2 scores for 1 texts", False),
    ],
)
async def test_without_a_reward_it_fails_and_keeps_its_tokens(
    engine: RewardedEngine, inner: ToldEngine, text: str, error: str, retryable: bool
) -> None:
    asked = request()
    failed = await scored(engine, inner, asked, done(asked, text))
    expected = Completion(id=asked.id, finish=Finish.FAILED, tokens=5, prompt_tokens=3, error=error)
    assert failed == replace(expected, retryable=retryable)
    assert (await scored(engine, inner, asked, done(asked))).reward


async def test_only_the_text_that_is_to_blame_fails(
    engine: RewardedEngine, inner: ToldEngine, model: LengthReward
) -> None:
    asked = [request(index=index) for index in range(9)]
    for each in asked:
        engine.submit(each)
    inner.end(*(done(each, "refused" if each.id.index in (2, 7) else "A") for each in asked))
    ended = await collect(engine, len(asked))
    assert [index for index, completion in enumerate(ended) if completion.finish is Finish.FAILED] == [2, 7]
    assert {completion.reward for completion in ended} == {None, 0.007}
    assert [len(call) for call in model.calls][:3] == [9, 4, 2]


async def test_an_outage_fails_all_and_is_asked_once(
    engine: RewardedEngine, inner: ToldEngine, model: LengthReward
) -> None:
    asked = [request(index=index) for index in range(4)]
    for each in asked:
        engine.submit(each)
    inner.end(*(done(each, "outage" if each.id.index == 2 else "A") for each in asked))
    ended = await collect(engine, len(asked))
    assert [(completion.finish, completion.retryable) for completion in ended] == [(Finish.FAILED, True)] * 4
    assert len(model.calls) == 1


async def test_reports_pass_while_completions_are_held(
    engine: RewardedEngine, inner: ToldEngine, model: LengthReward
) -> None:
    model.gate.clear()
    asked, other = request(index=0), request(index=1)
    engine.submit(asked)
    engine.submit(other)
    report = Report(id=other.id, text="A", tokens=1)
    inner.report(report)
    inner.end(done(asked))
    async with asyncio.timeout(LIMIT_S):
        assert await engine.ready() == []
    assert engine.take_reports() == [report]
    assert engine.take_reports() == []
    inner.report(report)
    assert engine.take_reports() == [report]


async def test_an_engine_that_does_not_report() -> None:
    engine = RewardedEngine(RecordedEngine({"p": [Sample("7", 5, reward=0.25)]}), LengthReward())
    await engine.check()
    engine.submit(request())
    assert [completion.reward for completion in await collect(engine, 1)] == [0.25]
    assert engine.take_reports() == []
    await engine.close()


async def test_a_request_that_comes_while_nothing_runs_is_answered(engine: RewardedEngine, inner: ToldEngine) -> None:
    waiting = asyncio.create_task(collect(engine, 1))
    await asyncio.wait([waiting], timeout=0)
    engine.submit(request())
    inner.end(done(request()))
    assert [completion.reward for completion in await waiting] == [0.007]


async def test_who_stops_waiting_loses_nothing(engine: RewardedEngine, inner: ToldEngine) -> None:
    engine.submit(request())
    waiting = asyncio.create_task(collect(engine, 1))
    await asyncio.wait([waiting], timeout=0)
    waiting.cancel()
    await asyncio.wait([waiting])
    inner.end(done(request()))
    assert len(await collect(engine, 1)) == 1


async def test_a_fault_of_the_engine_itself_is_not_swallowed(engine: RewardedEngine, inner: ToldEngine) -> None:
    engine.submit(request())
    inner.fail(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(engine.ready(), LIMIT_S)
    inner.fault = None


async def test_close_cuts_what_runs_is_scored_or_waits(inner: ToldEngine, model: LengthReward) -> None:
    before = asyncio.all_tasks()
    engine = RewardedEngine(inner, model)
    model.gate.clear()
    asked = [request(index=index) for index in range(4)]
    for each in asked:
        engine.submit(each)
    waiting = asyncio.create_task(engine.ready())
    inner.end(done(asked[0]))
    await until(lambda: len(model.calls) == 1)
    inner.end(done(asked[1]))
    await until(lambda: asked[1].id in engine._queue)
    inner.end(done(asked[2]))
    await engine.close()
    ended = [*await waiting, *await engine.ready()]
    assert sorted((completion.id.index, completion.finish, completion.text) for completion in ended) == [
        (0, Finish.CANCELLED, "A"),
        (1, Finish.CANCELLED, "A"),
        (2, Finish.CANCELLED, "A"),
        (3, Finish.CANCELLED, ""),
    ]
    assert asyncio.all_tasks() == before
    assert model.events == ["close"]


def test_it_tells_what_it_is_made_of(inner: ToldEngine, model: LengthReward) -> None:
    engine = RewardedEngine(inner, model)
    assert engine.engine is inner
    assert repr(engine) == f"RewardedEngine({inner!r}, {model!r})"
