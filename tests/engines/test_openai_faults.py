import asyncio
import socket

import pytest

from dynasor.engines.endpoint import Timeouts
from dynasor.engines.retrying import RETRYABLE_STATUSES, RetryPolicy
from dynasor.errors import UsageError
from dynasor.request import Finish
from support.engine_contract import collect
from support.faulty_app import answer_text
from support.faulty_server import FaultyServer
from support.live_engine import LeapingClock, Start, ask, request

SLOW_START = Timeouts(first_token_s=0.15)
STALL = Timeouts(idle_s=0.15)
WATCHED = {"hang=0": SLOW_START, "slow_first=9": SLOW_START, "hang=3": STALL}


class TestRetries:
    @pytest.mark.parametrize("status", sorted(RETRYABLE_STATUSES))
    async def test_a_passing_status(self, start: Start, clock: LeapingClock, server: FaultyServer, status: int) -> None:
        completion = await ask(start(), f"[[fault: status={status} times=2]]")
        assert (completion.finish, completion.retryable) == (Finish.STOP, False)
        assert server.stats().requests == 3
        assert len(clock.waits) == 2
        assert all(0 <= wait <= 1 for wait in clock.waits)

    @pytest.mark.parametrize("status", [401, 402, 403, 404])
    async def test_what_only_people_can_mend_is_left_for_a_resume(
        self, start: Start, server: FaultyServer, status: int
    ) -> None:
        failed = await ask(start(), f"[[fault: status={status} message=so_it_is]]")
        assert (failed.finish, failed.retryable, failed.error) == (Finish.FAILED, True, f"{status} so it is")
        assert server.stats().requests == 1, "asking again would not help now"

    @pytest.mark.parametrize("status", [400, 413, 422, 307, 501])
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
        engine = start(timeouts=WATCHED.get(fault, Timeouts()))
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
            ("hang=0", SLOW_START, "the answer did not begin within 0.15 s"),
            ("hang=3", STALL, "the answer stalled: no more of it for 0.15 s"),
            ("hang=3", Timeouts(total_s=0.15), "the answer took more than 0.15 s"),
        ],
    )
    async def test_timeouts(self, start: Start, fault: str, timeouts: Timeouts, told: str) -> None:
        failed = await ask(start(timeouts=timeouts, retries=RetryPolicy(retries=0)), f"[[fault: {fault}]]")
        assert (failed.finish, failed.error, failed.retryable) == (Finish.FAILED, told, True)

    async def test_a_slow_stream_that_goes_on_is_no_stall(self, start: Start) -> None:
        completion = await ask(
            start(timeouts=Timeouts(first_token_s=0.15, idle_s=0.15)), "[[fault: slow=0.02 tokens=9]]"
        )
        assert (completion.finish, completion.tokens) == (Finish.STOP, 9)

    async def test_a_connection_that_stays_open_after_the_answer_is_given_up(
        self, start: Start, server: FaultyServer
    ) -> None:
        engine = start(timeouts=Timeouts(idle_s=2))
        completion = await ask(engine, "[[fault: linger=1 tokens=5]]")
        assert (completion.finish, completion.tokens) == (Finish.STOP, 5)
        assert (await asyncio.to_thread(server.stats, active=0, aborted=1)).requests == 1

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
