"""The measurements, on an engine whose times are known: they have to find those times."""

from itertools import repeat
from typing import Any, ClassVar

import pytest

from dynasor.bench.engine_cancel import Watched, abandon_trial, cancel_trial
from dynasor.bench.engine_speed import Asker, tokens_per_s
from dynasor.errors import EngineError
from dynasor.request import Completion, Finish, Request
from support.timed_engine import TimedEngine, VirtualClock

SLOTS = 4


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def asker() -> Asker:
    return Asker(repeat("How many?"))


class RefusingEngine(TimedEngine):
    """Ends every request in a way of its own."""

    ending: ClassVar[dict[str, Any]] = {"finish": Finish.FAILED, "error": "out of order"}

    def submit(self, request: Request) -> None:
        self._report(Completion(id=request.id, **self.ending))


class UncountedEngine(RefusingEngine):
    ending: ClassVar[dict[str, Any]] = {"tokens": None}


class TestSpeed:
    @pytest.mark.parametrize(("concurrency", "speed"), [(1, 100.0), (3, 300.0), (4, 400.0), (9, 400.0), (32, 400.0)])
    @pytest.mark.parametrize("answer_tokens", [7, 33, 250])
    async def test_it_is_that_of_the_slots_in_use(
        self, clock: VirtualClock, asker: Asker, concurrency: int, speed: float, answer_tokens: int
    ) -> None:
        """Also where hardly a request ends within the window, and where some wait for a slot."""
        engine = TimedEngine(clock, slots=SLOTS, answer_tokens=answer_tokens)
        found = await clock.play(tokens_per_s(engine, clock, asker, concurrency, window_s=2.0))
        assert found == pytest.approx(speed)
        assert engine.most_running == min(concurrency, SLOTS)

    async def test_nothing_is_left_running(self, clock: VirtualClock, asker: Asker) -> None:
        engine = TimedEngine(clock, answer_tokens=10, release_s=0.0)
        await clock.play(tokens_per_s(engine, clock, asker, 9, window_s=0.5))
        await clock.play(clock.sleep(0.0))
        assert engine.busy == 0
        assert await clock.play(tokens_per_s(engine, clock, asker, 1, window_s=0.5)) == pytest.approx(100.0)

    @pytest.mark.parametrize(
        ("kind", "message"),
        [
            (RefusingEngine, "^a request failed: out of order$"),
            (UncountedEngine, "^the server does not count the tokens of its answers$"),
        ],
    )
    async def test_what_cannot_be_counted_is_an_error(
        self, clock: VirtualClock, asker: Asker, kind: type[TimedEngine], message: str
    ) -> None:
        with pytest.raises(EngineError, match=message):
            await clock.play(tokens_per_s(kind(clock), clock, asker, 1, window_s=1.0))


class TestCancel:
    async def test_each_time_is_found(self, clock: VirtualClock, asker: Asker) -> None:
        engine = TimedEngine(clock, slots=SLOTS, token_s=0.01, release_s=0.03)
        async with Watched(engine, clock) as watched:
            for place in range(SLOTS + 1):
                trial = await clock.play(cancel_trial(watched, clock, asker, SLOTS, place))
                assert trial == pytest.approx((0.01, 0.01, 0.0, 0.04))
        assert engine.most_running == SLOTS

    async def test_a_slot_that_was_free_before_tells_nothing(self, clock: VirtualClock, asker: Asker) -> None:
        async with Watched(TimedEngine(clock, slots=SLOTS + 1), clock) as watched:
            assert await clock.play(cancel_trial(watched, clock, asker, SLOTS, 0)) is None

    async def test_a_stream_that_had_not_begun_tells_nothing(self, clock: VirtualClock, asker: Asker) -> None:
        async with Watched(TimedEngine(clock, slots=SLOTS, token_s=0.5), clock) as watched:
            assert await clock.play(cancel_trial(watched, clock, asker, SLOTS, 0)) is None

    @pytest.mark.parametrize("answer_tokens", [15, 39, 41, 43])
    async def test_streams_that_end_too_early_tell_nothing(
        self, clock: VirtualClock, asker: Asker, answer_tokens: int
    ) -> None:
        """Before the cancel, while the slot is given up, or while the last figure is taken."""
        async with Watched(TimedEngine(clock, slots=SLOTS, answer_tokens=answer_tokens), clock) as watched:
            assert await clock.play(cancel_trial(watched, clock, asker, SLOTS, 1)) is None

    async def test_a_request_that_fails_is_an_error(self, clock: VirtualClock, asker: Asker) -> None:
        async with Watched(RefusingEngine(clock), clock) as watched:
            with pytest.raises(EngineError, match=r"^a request failed: out of order$"):
                await clock.play(cancel_trial(watched, clock, asker, SLOTS, 0))


class TimedBackend:
    """An engine whose slots, once it is closed, go on for a time. 412 tokens are counted meanwhile."""

    name = "timed"

    def __init__(self, clock: VirtualClock, release_s: float) -> None:
        self._engine = TimedEngine(clock, slots=SLOTS, release_s=release_s)
        self._counts = [1000.0, 1412.0]

    def engine(self) -> TimedEngine:
        return self._engine

    def endless_engine(self) -> TimedEngine:
        return self._engine

    async def running(self) -> int:
        return self._engine.busy

    async def generated_tokens(self) -> float | None:
        return self._counts.pop(0)


class TestAbandon:
    async def test_it_waits_until_nothing_runs(self, clock: VirtualClock, asker: Asker) -> None:
        trial = await clock.play(abandon_trial(TimedBackend(clock, 0.03), clock, asker, SLOTS))
        assert trial.closed_s == 0.0
        assert trial.idle_s == pytest.approx(0.03, abs=0.002)
        assert trial.lost_tokens == 412 - SLOTS * 20  # received within the 0.2 s of the streams

    async def test_a_backend_that_never_rests_is_an_error(
        self, clock: VirtualClock, asker: Asker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("dynasor.bench.engine_cancel._REST_S", 0.1)
        with pytest.raises(EngineError, match=r"^timed still works 0\.1 s after its engine was closed$"):
            await clock.play(abandon_trial(TimedBackend(clock, 40.0), clock, asker, SLOTS))
