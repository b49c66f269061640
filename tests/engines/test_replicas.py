"""The engine over replicas, with engines that end what they are told to end, in virtual time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dynasor.clock import WallClock
from dynasor.engines.endpoint import Endpoint, Timeouts
from dynasor.engines.engine import Engine
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.engines.replica_breaker import BreakerState
from dynasor.engines.replica_policy import ReplicaPolicy
from dynasor.engines.replicas import ReplicatedEngine
from dynasor.engines.retrying import RetryPolicy
from dynasor.errors import UsageError
from dynasor.request import Completion, Finish, ProgramId, Report, Request, RequestId
from support.engine_contract import MakeRequest, ReportingContract
from support.faulty_server import FaultyServer
from support.live_engine import request, until
from support.reward_models import ToldEngine
from support.timed_engine import VirtualClock

POLICY = ReplicaPolicy(failures=2, open_s=5.0, check_every_s=1.0, patience_s=30.0)
DOWN = "Connection refused"


class TestReplicatedContract(ReportingContract):
    """All that an engine must do, with two live ones inside."""

    @pytest.fixture
    def make_engine(self, server: FaultyServer) -> Callable[[], Engine]:
        endpoint = Endpoint(server.url, "tiny", max_connections=32)
        return lambda: ReplicatedEngine([(name, OpenAIEngine(endpoint, environ={})) for name in ("a", "b")])

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


class Told(ToldEngine):
    """A replica that a test plays: it may be down, or silent."""

    def __init__(self, model: str = "m") -> None:
        super().__init__()
        self.model = model
        self.down = False
        self.received: list[Request] = []

    async def check(self) -> None:
        if self.down:
            raise UsageError(DOWN)

    def submit(self, request: Request) -> None:
        super().submit(request)
        self.received.append(request)
        if self.down:
            self.end(failed(request.id, tokens=0))

    def crash(self) -> None:
        self.down = True
        self.end(*[failed(id) for id in self.running])

    def answer(self, *ids: RequestId) -> None:
        self.end(*[Completion(id=id, text="A", tokens=5) for id in ids or [*self.running]])

    @property
    def places(self) -> list[int]:
        return sorted(id.index for id in self.running)


def failed(id: RequestId, error: str = DOWN, tokens: int = 3) -> Completion:
    return Completion(id=id, finish=Finish.FAILED, tokens=tokens, error=error, retryable=True)


def asked(index: int, program: str = "p", **fields: Any) -> Request:
    return replace(request("Q", **fields), id=RequestId(ProgramId(program), index))


class Play:
    """Two replicas, the engine over them, and its time."""

    def __init__(self, count: int = 2, policy: ReplicaPolicy = POLICY) -> None:
        self.clock = VirtualClock()
        self.told = [Told() for _ in range(count)]
        self.engine = ReplicatedEngine(
            [(f"r{index}", told) for index, told in enumerate(self.told)], policy=policy, clock=self.clock
        )
        self.ended: list[Completion] = []
        self.reports: list[Report] = []

    async def settle(self) -> None:
        """Let everybody go on who can, and no time pass."""
        for _ in range(30):
            await WallClock().sleep(0)
        if self.engine._outbox._ended or self.engine._outbox._unheard:
            self.ended += await self.engine.ready()
            self.reports += self.engine.take_reports()

    async def wait(self, duration_s: float) -> None:
        await self.clock.play(self.clock.sleep(duration_s))
        await self.settle()

    def submit(self, requests: Iterable[Request]) -> None:
        for each in requests:
            self.engine.submit(each)


@pytest.fixture
async def play() -> AsyncIterator[Play]:
    play = Play()
    await play.engine.check()
    yield play
    await play.engine.close()


async def test_programs_stay_together_and_spread(play: Play) -> None:
    play.submit([asked(index, program) for index, program in enumerate("abab")])
    at = [{id.program for id in told.running} for told in play.told]
    assert at == [{"a"}, {"b"}]
    assert [(state.name, state.in_flight, state.outstanding_tokens) for state in play.engine.states] == [
        ("r0", 2, 2048),
        ("r1", 2, 2048),
    ]


async def test_what_a_replica_loses_is_issued_again_and_only_that(play: Play) -> None:
    first, second = play.told
    play.submit([asked(0, "a"), asked(1, "b"), asked(2, "a")])
    first.crash()
    await play.settle()
    assert (first.places, second.places, play.ended) == ([], [0, 1, 2], [])
    second.answer()
    await play.settle()
    assert {c.id.index: (c.finish, c.text, c.tokens) for c in play.ended} == {
        0: (Finish.STOP, "A", 8),
        1: (Finish.STOP, "A", 5),
        2: (Finish.STOP, "A", 8),
    }
    down, up = play.engine.states
    assert (down.state, down.failure_count, down.lost_count, down.fault) == (BreakerState.OPEN, 2, 2, DOWN)
    assert (up.state, up.failure_count, up.answered_count) == (BreakerState.CLOSED, 0, 3)


async def test_it_goes_on_behind_what_was_reported(play: Play) -> None:
    first, second = play.told
    play.submit([asked(0, report_every=2)])
    first.report(Report(id=asked(0).id, text=" one two", tokens=2))
    await play.settle()
    first.crash()
    await play.settle()
    assert (second.received[0].prompt, second.received[0].sampling.max_tokens) == ("Q one two", 1022)
    second.report(Report(id=asked(0).id, text=" three four", tokens=2))
    await play.settle()
    second.answer()
    await play.settle()
    assert [(report.text, report.tokens) for report in play.reports] == [(" one two", 2), (" one two three four", 4)]
    assert [(c.text, c.tokens) for c in play.ended] == [(" one twoA", 3 + 5)]


async def test_a_silent_replica_loses_its_requests(play: Play) -> None:
    first, second = play.told
    play.submit([asked(0)])
    first.down = True
    await play.wait(1.5)
    assert (first.places, second.places) == ([0], []), "one failed health check is not enough"
    await play.wait(1.0)
    assert (first.places, second.places) == ([], [0])
    assert play.engine.states[0].state is BreakerState.OPEN


async def test_a_restarted_replica_is_tried_with_one_request_and_then_trusted(play: Play) -> None:
    first, second = play.told
    first.down = second.down = True
    play.submit([asked(0), asked(1)])
    await play.wait(8.0)
    assert (play.ended, play.engine.waiting_count) == ([], 2)
    first.down = False
    await play.wait(2.0)
    assert (len(first.running), play.engine.waiting_count) == (1, 1)
    first.answer()
    await play.settle()
    assert (len(first.running), play.engine.waiting_count) == (1, 0)
    first.answer()
    await play.settle()
    assert sorted(c.id.index for c in play.ended) == [0, 1]
    assert {c.finish for c in play.ended} == {Finish.STOP}


async def test_an_outage_ends_in_failures_after_a_bounded_time_and_is_not_sent_to(play: Play) -> None:
    for told in play.told:
        told.down = True
    play.submit([asked(index) for index in range(200)])
    await play.wait(POLICY.patience_s + 5)
    assert {(c.finish, c.retryable) for c in play.ended} == {(Finish.FAILED, True)}
    assert sorted(c.id.index for c in play.ended) == [*range(200)]
    assert "no replica is left (r0: Connection refused; r1: Connection refused)" in (play.ended[-1].error or "")
    received = sum(len(told.received) for told in play.told)
    assert received <= (1 + POLICY.budget_share) * 200
    play.submit([asked(200)])
    await play.wait(2.0)
    assert play.ended[-1].id.index == 200, "who comes later does not wait as long"
    assert sum(len(told.received) for told in play.told) == received
    play.told[0].down = False
    play.submit([asked(201)])
    await play.wait(2.0)
    assert play.told[0].places == [201], "but it is noticed when a server is back"


async def test_the_budget_delays_and_drops_nothing() -> None:
    play = Play(policy=ReplicaPolicy(failures=2, budget_floor=3, budget_share=0.0, free_requests=100))
    first, second = play.told
    play.submit([asked(index) for index in range(20)])
    assert len(first.running) == 20
    first.crash()
    await play.settle()
    assert (len(second.running), play.engine.waiting_count) == (3, 17)
    for _ in range(7):
        second.answer()
        await play.settle()
    assert sorted(c.id.index for c in play.ended) == [*range(20)]
    assert all(c.finish is Finish.STOP for c in play.ended)
    await play.engine.close()


async def test_a_request_that_kills_its_servers_ends(play: Play) -> None:
    play.submit([asked(0)])
    for _ in range(40):
        for told in play.told:
            told.end(*[failed(id) for id in told.running])
        await play.wait(1.0)
    assert [(c.finish, c.tokens) for c in play.ended] == [(Finish.FAILED, 12)]
    assert play.ended[0].error == "Connection refused (issued 4 times)"


async def test_overload_goes_elsewhere_and_opens_no_breaker(play: Play) -> None:
    first, second = play.told
    play.submit([asked(index) for index in range(9)])
    first.end(*[failed(id, "429 slow down", 0) for id in first.running])
    await play.settle()
    assert second.places == [*range(9)]
    assert [state.state for state in play.engine.states] == [BreakerState.CLOSED] * 2


async def test_what_was_refused_for_good_is_not_issued_again(play: Play) -> None:
    play.submit([asked(0)])
    refused = replace(failed(asked(0).id, "400 no"), retryable=False)
    play.told[0].end(refused)
    await play.settle()
    assert play.ended == [refused]


async def test_a_request_is_started_once(play: Play) -> None:
    play.submit([asked(0)])
    with pytest.raises(UsageError, match="request 0 of program 'p' is running already"):
        play.submit([asked(0)])


async def test_a_request_that_waits_is_cut_at_once(play: Play) -> None:
    for told in play.told:
        told.down = True
    play.submit([asked(0)])
    await play.settle()
    assert play.engine.waiting_count == 1
    play.engine.cancel(asked(0).id)
    await play.settle()
    assert [(c.finish, c.error) for c in play.ended] == [(Finish.CANCELLED, None)]


async def test_what_is_cut_and_lost_at_the_same_time_is_cut(play: Play) -> None:
    play.submit([asked(0)])
    play.told[0].end(failed(asked(0).id))
    play.engine.cancel(asked(0).id)
    await play.settle()
    assert [(c.finish, c.tokens) for c in play.ended] == [(Finish.CANCELLED, 3)]
    assert play.told[1].received == []


async def test_a_bug_of_one_replica_ends_its_requests_and_no_others(play: Play) -> None:
    play.submit([asked(0, "a"), asked(1, "b")])
    await play.settle()
    play.told[0].fail(ZeroDivisionError("told to fail"))
    await play.settle()
    (ended,) = play.ended
    assert (ended.id.program, ended.finish, ended.retryable) == ("a", Finish.FAILED, False)
    assert ended.error == "fault in the engine itself: ZeroDivisionError: told to fail"
    play.told[0].fault = None
    play.told[1].answer()
    await play.settle()
    play.submit([asked(2, "a")])
    play.told[0].answer()
    await play.settle()
    assert [(c.finish, c.error) for c in play.ended[1:]] == [(Finish.STOP, None)] * 2


async def test_a_server_that_comes_back_as_another_one_stays_out(play: Play) -> None:
    play.submit([asked(0)])
    play.told[0].crash()
    play.told[0].down, play.told[0].model = False, "other"
    await play.wait(20.0)
    state = play.engine.states[0]
    assert (state.state, state.fault) == (BreakerState.OPEN, "it has the model 'other' by now, and had 'm'")


async def test_a_health_check_without_an_answer_has_failed() -> None:
    async def silent() -> None:
        await asyncio.Event().wait()

    policy = ReplicaPolicy(check_limit_s=0.01, check_every_s=0.001, failures=1)
    silent_one, other = Told(), Told()
    engine = ReplicatedEngine([("a", silent_one), ("b", other)], policy=policy, health=[silent, other.check])
    await other.check()
    engine._model = other.model
    engine.submit(asked(0))
    async with asyncio.timeout(60):
        while not other.running:
            await WallClock().sleep(0.001)
    assert engine.states[0].fault == "no answer to a health check within 0.01 s"
    await engine.close()


async def test_a_health_check_that_raises_has_failed_and_is_asked_again() -> None:
    """Else nothing would be looked after any more, and what waits for the next check would wait for ever."""
    checks = 0

    async def broken_once() -> None:
        nonlocal checks
        checks += 1
        if checks == 1:
            raise ZeroDivisionError("oh")

    told = Told()
    engine = ReplicatedEngine([("a", told)], policy=ReplicaPolicy(check_every_s=0.001), health=[broken_once])
    engine._model = told.model
    engine.submit(asked(0))
    async with asyncio.timeout(60):
        while checks < 2:
            await WallClock().sleep(0.001)
    assert engine.states[0].fault == "fault in the health check itself: ZeroDivisionError: oh"
    await engine.close()


async def test_closing_ends_what_waits_and_what_runs(play: Play) -> None:
    play.told[1].down = True
    play.submit([asked(0, "a")])
    play.told[0].down = True
    play.submit([asked(1, "b"), asked(2, "b")])
    await play.settle()
    await play.engine.close()
    ended = [*play.ended, *await play.engine.ready()]
    assert sorted(c.id.index for c in ended) == [0, 1, 2]
    assert {c.finish for c in ended} == {Finish.CANCELLED}
    play.submit([asked(3)])
    (late,) = await play.engine.ready()
    assert (late.finish, late.retryable, late.error) == (Finish.FAILED, True, "the engine is closed")


class TestCheck:
    async def test_replicas_have_one_model(self) -> None:
        engine = ReplicatedEngine([("http://a/v1", Told("llama")), ("http://b/v1", Told("qwen"))])
        told = (
            "^replicas must have one model: http://a/v1 has 'llama', and http://b/v1 has 'qwen';"
            " name a model that both have, or leave one out$"
        )
        with pytest.raises(UsageError, match=told):
            await engine.check()

    async def test_all_must_be_there(self) -> None:
        there, gone = Told(), Told()
        gone.down = True
        with pytest.raises(UsageError, match=DOWN):
            await ReplicatedEngine([("a", there), ("b", gone)]).check()

    @pytest.mark.parametrize("names", [[], ["a", "a"]])
    async def test_they_need_names(self, names: list[str]) -> None:
        with pytest.raises(UsageError, match="replicas need one name each"):
            ReplicatedEngine([(name, Told()) for name in names])

    async def test_the_model_is_known(self, play: Play) -> None:
        assert play.engine.model == "m"
        assert repr(play.engine) == "ReplicatedEngine(r0, r1)"


EVENTS = ["submit", "submit", "answer", "fail", "report", "crash", "revive", "cancel", "wait", "settle"]


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 9)), max_size=50))
def test_no_request_is_lost_or_ended_twice(events: list[tuple[str, int]]) -> None:
    asyncio.run(interleaved(events))


async def interleaved(events: list[tuple[str, int]]) -> None:
    play = Play(3)
    await play.engine.check()
    submitted: list[Request] = []
    cut: set[RequestId] = set()
    for event, number in events:
        if event == "submit":
            submitted.append(asked(len(submitted), "abcd"[number % 4], report_every=1 if number % 2 else None))
            play.submit(submitted[-1:])
        elif event == "cancel" and submitted:
            cut.add(submitted[number % len(submitted)].id)
            play.engine.cancel(submitted[number % len(submitted)].id)
        elif event in ("wait", "settle"):
            await (play.wait(number) if event == "wait" else play.settle())
        else:
            befall(play.told[number % 3], event, number)
        flights = [id for told in play.told for id in told.running]
        assert len(flights) == len(set(flights)), "a request is at one replica at most"
    await finish(play)
    assert Counter(c.id for c in play.ended) == Counter(each.id for each in submitted)
    assert {c.id for c in play.ended if c.finish is Finish.CANCELLED} <= cut
    assert all(state.in_flight == state.outstanding_tokens == 0 for state in play.engine.states)
    assert (play.engine.waiting_count, [replica.reissued_in_flight for replica in play.engine._replicas]) == (
        0,
        [0] * 3,
    )
    await play.engine.close()
    assert await play.engine.ready() == []


def befall(told: Told, event: str, number: int) -> None:
    """Something happens to a replica."""
    running = [*told.running]
    match event:
        case "crash":
            told.crash()
        case "revive":
            told.down = False
        case "answer" if running:
            told.answer(running[number % len(running)])
        case "fail" if running:
            told.end(failed(running[number % len(running)], ("429 no", DOWN)[number % 2]))
        case "report" if running:
            told.report(Report(id=running[0], text="x" * (number + 1), tokens=number + 1))


async def finish(play: Play) -> None:
    """All is well again, and whatever is asked is answered."""
    for told in play.told:
        told.down = False
    for _ in range(30):
        await play.wait(1.0)
        for told in play.told:
            told.answer()
    await play.settle()


class TestWords:
    """What a real engine says of faults is what verdicts are read from."""

    @pytest.mark.slow
    async def test_what_took_the_whole_time_is_not_issued_again(self, server: FaultyServer) -> None:
        endpoint = Endpoint(server.url, "tiny", timeouts=Timeouts(total_s=2.0), retries=RetryPolicy(retries=0))
        ended = await self.one_of(endpoint, "[[fault: hang=0]]")
        assert (ended.retryable, server.stats().requests) == (True, 1)

    async def test_a_429_opens_no_breaker(self, server: FaultyServer) -> None:
        endpoint = Endpoint(server.url, "tiny", retries=RetryPolicy(retries=0))
        ended = await self.one_of(endpoint, "[[fault: status=429 times=1]]", failure_count=0)
        assert ended.finish is Finish.STOP

    async def test_a_503_does(self, server: FaultyServer) -> None:
        endpoint = Endpoint(server.url, "tiny", retries=RetryPolicy(retries=0))
        ended = await self.one_of(endpoint, "[[fault: status=503 times=1]]", failure_count=1)
        assert ended.finish is Finish.STOP

    async def one_of(self, endpoint: Endpoint, prompt: str, failure_count: int | None = None) -> Completion:
        engine = ReplicatedEngine([(name, OpenAIEngine(endpoint, environ={})) for name in "ab"])
        try:
            await engine.check()
            engine.submit(request(prompt))
            async with asyncio.timeout(60):
                (ended,) = await engine.ready()
            assert failure_count in (None, sum(state.failure_count for state in engine.states))
            return ended
        finally:
            await engine.close()


async def test_replicas_that_nobody_has_checked_are_taken_as_they_are(server: FaultyServer) -> None:
    """As where one of them is down at the start, and must not keep the others from working."""
    endpoint = Endpoint(server.url, "tiny")
    named = [(name, OpenAIEngine(endpoint, environ={})) for name in ("a", "b")]
    engine = ReplicatedEngine(named, policy=ReplicaPolicy(failures=1, check_every_s=0.002))
    engine.submit(request("[[fault: hang=3]]", index=0))
    await until(lambda: min(replica.breaker.passed_check_count for replica in engine._replicas) >= 2)
    assert [(state.state, state.failure_count) for state in engine.states] == [(BreakerState.CLOSED, 0)] * 2
    assert engine.states[0].in_flight + engine.states[1].in_flight == 1
    await engine.close()
