import asyncio
import logging
import traceback
from collections.abc import Callable

import pytest

from dynasor.engines.endpoint import Endpoint
from dynasor.engines.engine import Engine
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.engines.retrying import RetryPolicy
from dynasor.errors import EngineError, UnknownName, UsageError
from dynasor.request import Completion, Finish, Message, ProgramId, Prompt, Report, RequestId, continued
from support.engine_contract import EngineContract, MakeRequest, ReportingContract, collect, collect_reports
from support.faulty_app import answer_text
from support.faulty_server import FaultyServer
from support.live_engine import LeapingClock, Start, StoppedClock, ask, request, tokens_so_far, until

CANARY = "sk-canary-0123456789"
BOTH_WAYS = pytest.mark.parametrize("stream", [True, False])


class LiveContract(EngineContract):
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


class TestStreamedContract(LiveContract, ReportingContract):
    @pytest.fixture
    def growing(self) -> MakeRequest:
        return lambda index: request("[[fault: tokens=20]]", index=index)


class TestWholeContract(LiveContract):
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
            tail_logprob=-0.5,
            lowest_logprob=-0.5,
        )

    @BOTH_WAYS
    @pytest.mark.parametrize("api", ["completions", "chat"])
    async def test_the_stop_string_that_ended_it(self, start: Start, stream: bool, api: str) -> None:
        engine, asked = start(stream=stream, api=api), "[[fault: tokens=9]]"
        stopped = await ask(engine, asked, stop=("none", " answer", "so The"))
        assert (stopped.text, stopped.finish, stopped.stopped_at) == ("so so so so", Finish.STOP, "so The")
        ended = await ask(engine, asked, stop=("none",))
        assert (ended.finish, ended.stopped_at) == (Finish.STOP, None)
        cut = await ask(engine, asked, stop=("answer",), max_tokens=2)
        assert (cut.finish, cut.stopped_at) == (Finish.LENGTH, None)

    @BOTH_WAYS
    async def test_what_was_begun_is_gone_on_with(self, start: Start, server: FaultyServer, stream: bool) -> None:
        engine, asked = start(stream=stream), (Message("user", "q"),)
        whole = (await ask(engine, asked, seed=3)).text
        rest = await ask(engine, continued(asked, whole[:5]), seed=3)
        assert rest.text == whole[5:]
        assert server.log().received == [("q", 3)] * 2

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


class TestDialects:
    async def test_a_server_that_goes_on_by_itself_need_not_be_told(self, start: Start, server: FaultyServer) -> None:
        engine, asked = start(), (Message("user", "[[fault: refuse=continue_final_message tokens=9]]"),)
        for sent in (2, 3):
            assert (await ask(engine, continued(asked, "so so so"), seed=3)).text.startswith(" so so The")
            assert server.stats().requests == sent

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


class TestReports:
    async def test_they_tell_text_tokens_and_confidence(self, start: Start) -> None:
        engine = start()
        engine.submit(request("[[fault: tokens=9]]", report_every=4, logprobs=True))
        reports, (completion,) = await collect_reports(engine, 1)
        texts = ["so so so so", "so so so so so The answer is"]
        assert reports == [
            Report(id=completion.id, text=text, tokens=tokens, lowest_logprob=-0.5)
            for text, tokens in zip(texts, (4, 8), strict=True)
        ]
        assert completion.tokens == 9

    async def test_thoughts_are_reported_as_they_stand(self, start: Start) -> None:
        engine = start(api="chat")
        engine.submit(request("[[fault: reasoning=3 tokens=6]]", report_every=2))
        reports, _ = await collect_reports(engine, 1)
        assert [report.text for report in reports[:2]] == ["<think>so so", "<think>so so The</think> answer"]

    async def test_a_new_attempt_reports_from_scratch(self, start: Start) -> None:
        engine = start()
        engine.submit(request("[[fault: disconnect=5 times=1 tokens=6]]", report_every=2, seed=0))
        reports, (completion,) = await collect_reports(engine, 1)
        assert [report.tokens for report in reports][:5] == [2, 4, 2, 4, 6]
        assert [report.text for report in reports[1:3]] == ["so so The answer", "so so"]
        assert completion.tokens == 5 + len(completion.text.split())

    async def test_what_is_not_streamed_cannot_report(self, start: Start, server: FaultyServer) -> None:
        engine = start(stream=False)
        engine.submit(request("q", report_every=2))
        (failed,) = await collect(engine, 1)
        assert (failed.finish, failed.retryable, failed.tokens) == (Finish.FAILED, False, 0)
        assert failed.error == "a request reports while it runs only where its answer is streamed; use --stream"
        assert server.stats().requests == 0

    async def test_what_nobody_took_is_still_there_after_the_completion(self, start: Start) -> None:
        engine = start()
        engine.submit(request("[[fault: tokens=9]]", report_every=2))
        async with asyncio.timeout(5):
            while not await engine.ready():
                pass
        assert [report.tokens for report in engine.take_reports()] == [2, 4, 6, 8]
        assert engine.take_reports() == []


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
        await until(lambda: not engine._outbox._news.is_set())
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
async def test_thousands_of_requests_are_each_answered_once(start: Start, server: FaultyServer) -> None:
    engine = start(stream=False)
    for index in range(2000):
        engine.submit(request(f"question {index}", index=index, seed=index))
    await collect(engine, 2000)
    log = server.log()
    assert sorted(log.answered) == sorted(log.received) == sorted((f"question {i}", i) for i in range(2000))
