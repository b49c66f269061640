import asyncio
import logging
import random
import socket
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from dynasor.clock import WallClock
from dynasor.engines.endpoint import Endpoint, Timeouts
from dynasor.engines.engine import Engine
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.engines.retrying import RETRYABLE_STATUSES, RetryPolicy
from dynasor.errors import EngineError, UnknownName, UsageError
from dynasor.request import Completion, Finish, Message, ProgramId, Prompt, Request, RequestId, Sampling
from support.engine_contract import EngineContract, MakeRequest, collect
from support.faulty_app import answer_text
from support.faulty_server import FaultyServer

CANARY = "sk-canary-0123456789"
QUICK = Timeouts(first_token_s=0.15, idle_s=0.15)
BOTH_WAYS = pytest.mark.parametrize("stream", [True, False])


class LeapingClock:
    """Waits no time at all, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def now(self) -> float:
        return sum(self.waits)

    async def sleep(self, duration_s: float) -> None:
        self.waits.append(duration_s)


class StoppedClock(LeapingClock):
    """Never lets anybody go on."""

    async def sleep(self, duration_s: float) -> None:
        await super().sleep(duration_s)
        await asyncio.Event().wait()


@pytest.fixture(scope="module")
def server_process() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


@pytest.fixture
def server(server_process: FaultyServer) -> FaultyServer:
    server_process.stats(active=0)
    server_process.reset()
    return server_process


@pytest.fixture
def clock() -> LeapingClock:
    return LeapingClock()


Start = Callable[..., OpenAIEngine]


@pytest.fixture
async def start(server: FaultyServer, clock: LeapingClock) -> AsyncIterator[Start]:
    """Make engines at the faulty server, with the settings given; they are closed in the end."""
    engines: list[OpenAIEngine] = []

    def make(*, clock: LeapingClock = clock, environ: dict[str, str] | None = None, **settings: Any) -> OpenAIEngine:
        endpoint = replace(Endpoint(server.url, "tiny"), **settings)
        engines.append(OpenAIEngine(endpoint, clock=clock, rng=random.Random(0), environ=environ or {}))
        return engines[-1]

    yield make
    for engine in engines:
        await engine.close()


def request(prompt: Prompt, *, index: int = 0, seed: int | None = None, **sampling: Any) -> Request:
    return Request(RequestId(ProgramId("p"), index), prompt, Sampling(**sampling), seed)


async def ask(engine: OpenAIEngine, prompt: Prompt, **settings: Any) -> Completion:
    engine.submit(request(prompt, **settings))
    (completion,) = await collect(engine, 1)
    return completion


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await WallClock().sleep(0.001)


def tokens_so_far(engine: OpenAIEngine, index: int = 0) -> int:
    answer = engine._calls[RequestId(ProgramId("p"), index)].answer
    return (answer.tokens or 0) if answer else 0


class TestStreamedContract(EngineContract):
    stream = True

    @pytest.fixture
    def make_engine(self, server: FaultyServer) -> Callable[[], Engine]:
        return lambda: OpenAIEngine(Endpoint(server.url, "tiny", stream=self.stream, max_connections=32), environ={})

    @pytest.fixture
    def answering(self) -> MakeRequest:
        return lambda index: request(f"question {index}", index=index)

    @pytest.fixture
    def long_running(self) -> MakeRequest:
        return lambda index: request("[[fault: hang=3]]", index=index)

    @pytest.fixture
    def failing(self) -> MakeRequest:
        return lambda index: request("[[fault: status=422 message=no]]", index=index)


class TestWholeContract(TestStreamedContract):
    stream = False


class TestAnswers:
    @BOTH_WAYS
    @pytest.mark.parametrize("prompt", ["1 + 1 =", (Message("user", "1 + 1 ="),)])
    async def test_text_tokens_and_log_probabilities(self, start: Start, stream: bool, prompt: Prompt) -> None:
        completion = await ask(start(stream=stream), prompt, logprobs=True)
        text = answer_text("1 + 1 =", 0)
        assert completion == Completion(
            id=RequestId(ProgramId("p"), 0),
            text=text,
            finish=Finish.STOP,
            tokens=len(text.split()),
            prompt_tokens=7,
            mean_logprob=-0.5,
        )

    @BOTH_WAYS
    async def test_max_tokens_and_seed_arrive(self, start: Start, server: FaultyServer, stream: bool) -> None:
        completion = await ask(start(stream=stream), "q", seed=11, max_tokens=3)
        assert completion.text.split() == answer_text("q", 11).split()[:3]
        assert (completion.tokens, completion.finish) == (3, Finish.LENGTH)
        assert server.log().received == [("q", 11)]

    async def test_no_seed_unless_asked_for(self, start: Start, server: FaultyServer) -> None:
        await ask(start(), "q")
        assert server.log().received == [("q", None)]

    @BOTH_WAYS
    async def test_thoughts_are_kept(self, start: Start, stream: bool) -> None:
        completion = await ask(start(stream=stream, api="chat"), "[[fault: reasoning=2 tokens=6 usage=0]]", seed=0)
        assert completion.text.startswith("<think>so so</think> The answer is ")
        assert completion.tokens == (6 if stream else None)

    async def test_connections_are_used_again(self, start: Start, server: FaultyServer) -> None:
        engine = start(max_connections=1)
        for index in range(20):
            engine.submit(request("q", index=index))
        await collect(engine, 20)
        stats = server.stats()
        assert (stats.requests, stats.connections) == (20, 1)

    async def test_ready_gives_all_that_have_ended(self, start: Start, server: FaultyServer) -> None:
        engine = start()
        for index in range(20):
            engine.submit(request("[[fault: hang=0]]", index=index))
        for index in range(20):
            engine.cancel(RequestId(ProgramId("p"), index))
        assert len(await engine.ready()) == 20
        assert server.stats().requests == 0

    async def test_two_running_requests_cannot_share_an_id(self, start: Start) -> None:
        engine = start()
        engine.submit(request("q"))
        with pytest.raises(UsageError, match="request 0 of program 'p' is running already"):
            engine.submit(request("q"))
        assert len(await collect(engine, 1)) == 1
        assert (await ask(engine, "q")).finish is Finish.STOP

    async def test_completions_cannot_take_a_conversation(self, start: Start, server: FaultyServer) -> None:
        failed = await ask(start(api="completions"), (Message("user", "q"),))
        assert (failed.finish, failed.retryable) == (Finish.FAILED, False)
        assert failed.error == "the completions api takes text, not messages; set api to 'chat' or 'auto'"
        assert server.stats().requests == 0

    async def test_a_bug_in_a_task_is_a_completion(self, start: Start) -> None:
        class BrokenClock(LeapingClock):
            async def sleep(self, duration_s: float) -> None:
                raise ZeroDivisionError(f"{duration_s > 0}")

        failed = await ask(start(clock=BrokenClock()), "[[fault: status=500]]")
        assert failed.error == "fault in the engine itself: ZeroDivisionError: True"
        assert (failed.finish, failed.retryable) == (Finish.FAILED, False)


class TestRetries:
    @pytest.mark.parametrize("status", sorted(RETRYABLE_STATUSES))
    async def test_a_passing_status(self, start: Start, clock: LeapingClock, server: FaultyServer, status: int) -> None:
        completion = await ask(start(), f"[[fault: status={status} times=2]]")
        assert (completion.finish, completion.retryable) == (Finish.STOP, False)
        assert server.stats().requests == 3
        assert len(clock.waits) == 2
        assert all(0 <= wait <= 1 for wait in clock.waits)

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 307, 501])
    async def test_a_lasting_status(self, start: Start, server: FaultyServer, status: int) -> None:
        failed = await ask(start(), f"[[fault: status={status} message=so_it_is]]")
        assert (failed.finish, failed.retryable, failed.tokens) == (Finish.FAILED, False, 0)
        assert failed.error == f"{status} so it is"
        assert server.stats().requests == 1

    async def test_it_gives_up_in_the_end(self, start: Start, server: FaultyServer) -> None:
        failed = await ask(start(), "[[fault: status=503]]")
        assert (failed.finish, failed.retryable) == (Finish.FAILED, True)
        assert failed.error == "503 told to fail (tried 5 times)"
        assert server.stats().requests == 5

    async def test_a_budget_over_all_requests(self, start: Start, server: FaultyServer) -> None:
        engine = start()
        for index in range(100):
            engine.submit(request("[[fault: status=503]]", index=index))
        assert {completion.finish for completion in await collect(engine, 100)} == {Finish.FAILED}
        assert 110 <= server.stats().requests <= 120  # ten retries at least, a fifth of the requests at most

    @pytest.mark.parametrize(("asked", "least_s"), [("retry_after=7", 7.0), ("retry_after_ms=1500", 1.5)])
    async def test_never_sooner_than_asked(self, start: Start, clock: LeapingClock, asked: str, least_s: float) -> None:
        assert (await ask(start(), f"[[fault: status=429 times=1 {asked}]]")).finish is Finish.STOP
        (waited,) = clock.waits
        assert least_s <= waited <= least_s + 0.5

    @pytest.mark.parametrize("asked", ["retry_after=121", "should_retry=false"])
    async def test_no_other_try_in_this_run(self, start: Start, server: FaultyServer, asked: str) -> None:
        failed = await ask(start(), f"[[fault: status=429 {asked}]]")
        assert (failed.finish, failed.retryable) == (Finish.FAILED, True)
        assert server.stats().requests == 1

    @pytest.mark.parametrize(
        ("fault", "spent_tokens"),
        [
            ("truncate=3", 3),
            ("disconnect=3", 3),
            ("disconnect=0", 0),
            ("bad_json=3", 3),
            ("error_event=3", 3),
            ("hang=3", 3),
            ("hang=0", 0),
            ("slow_first=9", 0),
            ("garbage=1", 0),
            ("hangup=1", 0),
        ],
    )
    async def test_a_broken_stream_is_asked_for_again_and_its_tokens_count(
        self, start: Start, server: FaultyServer, fault: str, spent_tokens: int
    ) -> None:
        engine = start(timeouts=QUICK if fault in ("hang=3", "hang=0", "slow_first=9") else Timeouts())
        prompt = f"[[fault: {fault} times=1 tokens=6]]"
        completion = await ask(engine, prompt, seed=0)
        assert (completion.finish, completion.text) == (Finish.STOP, answer_text(prompt, 0))
        assert completion.tokens == spent_tokens + len(completion.text.split())
        assert server.stats().requests == 2

    @pytest.mark.parametrize("fault", ["truncate=1", "disconnect=1", "error_event=1", "garbage=1", "hangup=1"])
    async def test_a_broken_whole_answer_is_asked_for_again(
        self, start: Start, server: FaultyServer, fault: str
    ) -> None:
        completion = await ask(start(stream=False), f"[[fault: {fault} times=1]]", seed=0)
        assert (completion.finish, completion.tokens) == (Finish.STOP, len(completion.text.split()))
        assert server.stats().requests == 2

    async def test_tokens_of_broken_streams_count_for_a_failure_too(self, start: Start) -> None:
        failed = await ask(start(), "[[fault: truncate=3]]")
        assert (failed.finish, failed.tokens, failed.text) == (Finish.FAILED, 15, "")
        assert failed.error == "the answer was cut off before its end (tried 5 times)"

    async def test_a_lasting_error_in_the_stream(self, start: Start, server: FaultyServer) -> None:
        failed = await ask(start(), "[[fault: error_event=2 code=400]]")
        assert (failed.error, failed.retryable, failed.tokens) == ("400 told to fail", False, 2)
        assert server.stats().requests == 1

    @pytest.mark.parametrize(
        ("fault", "timeouts", "told"),
        [
            ("hang=0", QUICK, "the answer did not begin within 0.15 s"),
            ("hang=3", QUICK, "the answer stalled: no more of it for 0.15 s"),
            ("hang=3", Timeouts(total_s=0.15), "the answer took more than 0.15 s"),
        ],
    )
    async def test_timeouts(self, start: Start, fault: str, timeouts: Timeouts, told: str) -> None:
        failed = await ask(start(timeouts=timeouts, retries=RetryPolicy(retries=0)), f"[[fault: {fault}]]")
        assert (failed.finish, failed.error, failed.retryable) == (Finish.FAILED, told, True)

    async def test_a_slow_stream_that_goes_on_is_no_stall(self, start: Start) -> None:
        completion = await ask(start(timeouts=Timeouts(idle_s=0.15)), "[[fault: slow=0.02 tokens=9]]")
        assert (completion.finish, completion.tokens) == (Finish.STOP, 9)

    async def test_what_took_the_whole_time_is_not_tried_again(self, start: Start, server: FaultyServer) -> None:
        engine = start(timeouts=Timeouts(total_s=0.05), stream=False)
        assert (await ask(engine, "[[fault: hang=0]]")).retryable
        assert server.stats().requests == 1

    async def test_nobody_listens(self, start: Start, clock: LeapingClock) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            engine = start(url=f"http://127.0.0.1:{unused.getsockname()[1]}")
            failed = await ask(engine, "q")
            with pytest.raises(
                UsageError, match=r"^cannot reach http://127.0.0.1:\d+/v1: .*; is the server running\?$"
            ):
                await engine.check()
        assert (failed.finish, failed.retryable, failed.tokens) == (Finish.FAILED, True, 0)
        assert len(clock.waits) == 4


class TestDialects:
    @pytest.mark.parametrize("field", ["stream_options", "max_tokens"])
    async def test_a_refused_field_is_dropped_once_and_for_all(
        self, start: Start, server: FaultyServer, clock: LeapingClock, field: str
    ) -> None:
        engine = start(api="chat")
        assert (await ask(engine, f"[[fault: refuse={field}]]", max_tokens=5)).tokens == 5
        assert server.stats().requests == 2
        assert (await ask(engine, f"[[fault: refuse={field}]]", max_tokens=5)).tokens == 5
        assert server.stats().requests == 3
        assert clock.waits == []

    async def test_many_requests_learn_it_at_once(self, start: Start, server: FaultyServer) -> None:
        engine = start(api="chat")
        for index in range(20):
            engine.submit(request(f"[[fault: refuse={('stream_options', 'max_tokens')[index % 2]}]]", index=index))
        assert {completion.finish for completion in await collect(engine, 20)} == {Finish.STOP}
        assert server.stats().requests <= 60


class TestCancel:
    async def test_a_stream_gives_what_had_come_and_the_server_sees_it_go(
        self, start: Start, server: FaultyServer
    ) -> None:
        engine = start()
        engine.submit(request("[[fault: hang=5 tokens=9]]"))
        await until(lambda: tokens_so_far(engine) == 5)
        engine.cancel(RequestId(ProgramId("p"), 0))
        (cut,) = await collect(engine, 1)
        assert (cut.finish, cut.text, cut.tokens) == (Finish.CANCELLED, "so so so so so", 5)
        await asyncio.to_thread(server.stats, active=0, aborted=1)

    async def test_a_whole_answer_has_unknown_tokens_and_the_server_sees_it_go(
        self, start: Start, server: FaultyServer
    ) -> None:
        engine = start(stream=False)
        engine.submit(request("[[fault: hang=5]]"))
        await asyncio.to_thread(server.stats, active=1)
        engine.cancel(RequestId(ProgramId("p"), 0))
        (cut,) = await collect(engine, 1)
        assert (cut.finish, cut.text, cut.tokens) == (Finish.CANCELLED, "", None)
        await asyncio.to_thread(server.stats, active=0, aborted=1)

    @BOTH_WAYS
    async def test_waiting_for_a_connection(self, start: Start, server: FaultyServer, stream: bool) -> None:
        engine = start(stream=stream, max_connections=1)
        engine.submit(request("[[fault: hang=0]]", index=0))
        engine.submit(request("q", index=1))
        await asyncio.to_thread(server.stats, active=1)
        engine.cancel(RequestId(ProgramId("p"), 1))
        (cut,) = await collect(engine, 1)
        assert (cut.id.index, cut.finish, cut.tokens) == (1, Finish.CANCELLED, 0)
        engine.submit(request("q", index=2))
        engine.cancel(RequestId(ProgramId("p"), 0))
        gone, done = await collect(engine, 2)
        assert (gone.finish, done.finish) == (Finish.CANCELLED, Finish.STOP)
        assert server.stats().requests == 2

    @pytest.mark.parametrize(("fault", "spent_tokens"), [("status=503", 0), ("truncate=3", 3)])
    async def test_waiting_for_a_retry(self, start: Start, fault: str, spent_tokens: int) -> None:
        clock = StoppedClock()
        engine = start(clock=clock)
        engine.submit(request(f"[[fault: {fault}]]"))
        await until(lambda: bool(clock.waits))
        engine.cancel(RequestId(ProgramId("p"), 0))
        (cut,) = await collect(engine, 1)
        assert (cut.finish, cut.text, cut.tokens) == (Finish.CANCELLED, "", spent_tokens)

    async def test_close_aborts_everything_at_the_server(self, start: Start, server: FaultyServer) -> None:
        engine = start(max_connections=10)
        for index in range(20):
            engine.submit(request("[[fault: hang=2]]", index=index))
        await asyncio.to_thread(server.stats, active=10)
        await engine.close()
        await asyncio.to_thread(server.stats, active=0, aborted=10)
        assert [completion.finish for completion in await engine.ready()] == [Finish.CANCELLED] * 20
        engine.submit(request("q"))
        (late,) = await engine.ready()
        assert (late.finish, late.error, late.retryable) == (Finish.FAILED, "the engine is closed", True)
        assert await engine.ready() == []

    async def test_close_wakes_who_waits(self, start: Start) -> None:
        engine = start()
        waiting = asyncio.create_task(asyncio.wait_for(engine.ready(), 5))
        await until(lambda: not engine._news.is_set())
        await engine.close()
        assert await waiting == []


class TestCheck:
    async def test_the_model_is_there(self, start: Start) -> None:
        engine = start()
        await engine.check()
        assert engine.model == "tiny"

    async def test_the_only_model_is_taken(self, start: Start) -> None:
        engine = start(model=None)
        assert engine.model is None
        await engine.check()
        assert engine.model == "tiny"

    async def test_a_model_must_be_named_among_several(self, start: Start, server: FaultyServer) -> None:
        with pytest.raises(UsageError, match=r"has 2 models; name one of them: a, b$"):
            await start(url=f"{server.url}/serving/a,b", model=None).check()

    async def test_an_unknown_model(self, start: Start) -> None:
        with pytest.raises(UnknownName, match=r"unknown model 'tinny'; did you mean 'tiny'\? \(known: tiny\)"):
            await start(model="tinny").check()

    @pytest.mark.parametrize("status", [404, 405])
    async def test_a_server_that_does_not_tell(self, start: Start, server: FaultyServer, status: int) -> None:
        engine = start(url=f"{server.url}/status/{status}", model=None)
        await engine.check()
        assert engine.model is None

    @pytest.mark.parametrize("status", [401, 403])
    async def test_a_refused_key(self, start: Start, server: FaultyServer, status: int) -> None:
        engine = start(url=f"{server.url}/status/{status}", api_key_variable="MY_KEY")
        with pytest.raises(UsageError, match=rf"refuses the key \({status}\); put a valid one into \$MY_KEY$"):
            await engine.check()

    async def test_a_server_out_of_order(self, start: Start, server: FaultyServer) -> None:
        with pytest.raises(EngineError, match=r"/models: 503 told to fail$") as caught:
            await start(url=f"{server.url}/status/503").check()
        assert caught.value.retryable

    async def test_something_else_listens(self, start: Start, server: FaultyServer) -> None:
        with pytest.raises(EngineError, match="is it an OpenAI server"):
            await start(url=f"{server.url}/status/200").check()


class TestSecrets:
    async def test_the_key_is_sent_and_never_told(
        self, start: Start, server: FaultyServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        engine = start(environ={"MY_KEY": f" {CANARY}\n"}, api_key_variable="MY_KEY", retries=RetryPolicy(retries=0))
        told = [repr(engine), repr(engine._endpoint), repr(engine.__dict__)]
        echoed = await ask(engine, "[[fault: status=401 echo=1 message=bad]]")
        assert echoed.error == "401 bad (you sent Bearer [key])"
        faults = ["hangup=1", "garbage=1", "bad_json=1", "disconnect=1", "status=503 echo=1"]
        told += [repr(await ask(engine, f"[[fault: {fault}]]")) for fault in faults]
        for status in (401, 503):
            broken = start(url=f"{server.url}/status/{status}", environ={"OPENAI_API_KEY": CANARY})
            with pytest.raises((UsageError, EngineError)) as caught:
                await broken.check()
            told.append("".join(traceback.format_exception(caught.value)))
        assert CANARY not in "".join(told) + caplog.text

    async def test_an_echo_is_cut_to_a_line_of_bounded_length(self, start: Start) -> None:
        failed = await ask(start(environ={"OPENAI_API_KEY": CANARY}), f"[[fault: status=400 message={'x_' * 400}]]")
        assert failed.error is not None
        assert len(failed.error) == 300

    async def test_without_a_key_no_header_is_sent(self, start: Start) -> None:
        failed = await ask(start(), "[[fault: status=401 echo=1 message=bad]]")
        assert failed.error == "401 bad (you sent None)"

    def test_a_key_that_cannot_be_sent(self) -> None:
        with pytest.raises(UsageError, match=r"^\$OPENAI_API_KEY holds a character that no HTTP header may hold$"):
            OpenAIEngine(Endpoint("http://host"), environ={"OPENAI_API_KEY": "sk-a\r\nX-Evil: b"})


@pytest.mark.slow
async def test_a_thousand_answers_a_second(start: Start, server: FaultyServer) -> None:
    """The batch runner's tests ask 6,000 times; both sides must be fast enough for that."""
    engine = start(stream=False)
    clock = WallClock()
    began = clock.now()
    for index in range(2000):
        engine.submit(request(f"question {index}", index=index, seed=index))
    await collect(engine, 2000)
    assert clock.now() - began < 8.0  # it takes 1 s; the rest is for a machine with other work
    log = server.log()
    assert sorted(log.answered) == sorted(log.received) == sorted((f"question {i}", i) for i in range(2000))
