"""Engines take turns; what is found is told engine by engine."""

from collections import Counter

import pytest

from dynasor.bench.engine_rows import AbandonRow, CancelRow, RatioRow, SpeedRow
from dynasor.bench.engine_study import EnginePlan, letting_go, speeds
from dynasor.errors import EngineError
from dynasor.request import Request
from support.timed_engine import TimedEngine, VirtualClock

PLAN = EnginePlan(("quick", "slow"), repeats=2, window_s=1.0, cancels=3, abandons=2, concurrencies=(1, 3), slots=4)


class Turns:
    """Which engine is at work: one at most."""

    def __init__(self) -> None:
        self.engines: list[TimedEngine] = []

    def check(self, mine: TimedEngine) -> None:
        assert [other for other in self.engines if other.working and other is not mine] == []


class TurnTaking(TimedEngine):
    turns: Turns

    def submit(self, request: Request) -> None:
        self.turns.check(self)
        super().submit(request)


class StandIn:
    def __init__(self, name: str, clock: VirtualClock, turns: Turns, token_s: float) -> None:
        self.name, self._clock, self._turns, self._token_s = name, clock, turns, token_s
        self._answer_tokens = 50
        self.made: Counter[str] = Counter()

    def engine(self) -> TimedEngine:
        return self._make("engine", self._answer_tokens)

    def endless_engine(self, answer_tokens: int = 1 << 30) -> TimedEngine:
        return self._make("endless", answer_tokens)

    async def running(self) -> int:
        return sum(engine.busy for engine in self._turns.engines)

    async def generated_tokens(self) -> None:
        return None

    def _make(self, kind: str, answer_tokens: int) -> TimedEngine:
        self.made[kind] += 1
        engine = TurnTaking(self._clock, token_s=self._token_s, answer_tokens=answer_tokens)
        engine.turns = self._turns
        self._turns.engines.append(engine)
        return engine


class ShortStandIn(StandIn):
    """Its streams end before anything can be measured."""

    def endless_engine(self, answer_tokens: int = 1 << 30) -> TimedEngine:
        return super().endless_engine(2)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def backends(clock: VirtualClock) -> list[StandIn]:
    turns = Turns()
    return [StandIn("quick", clock, turns, 0.002), StandIn("slow", clock, turns, 0.01)]


async def test_speeds(clock: VirtualClock, backends: list[StandIn]) -> None:
    told: list[str] = []
    rows = await clock.play(speeds(PLAN, backends, clock, told.append))
    assert told == ["tokens a second, 1 at a time", "tokens a second, 3 at a time"]
    found = {(row.engine, row.concurrency): row for row in rows if isinstance(row, SpeedRow)}
    assert len(found) == 4
    for (engine, concurrency), row in found.items():
        assert row.repeats == pytest.approx([concurrency * (500 if engine == "quick" else 100)] * 2)
    ratios = [row for row in rows if isinstance(row, RatioRow)]
    assert [(row.engine, row.over, row.concurrency) for row in ratios] == [("quick", "slow", 1), ("quick", "slow", 3)]
    assert [row.ratio.median for row in ratios] == pytest.approx([5.0, 5.0])


async def test_letting_go(clock: VirtualClock, backends: list[StandIn]) -> None:
    rows = await clock.play(letting_go(PLAN, backends, clock, lambda _: None))
    cancels = [row for row in rows if isinstance(row, CancelRow)]
    assert [(row.engine, row.trials, row.left_out, row.within_target) for row in cancels] == [
        ("quick", 3, 0, 3),
        ("slow", 3, 0, 3),
    ]
    assert [row.freed.median_ms for row in cancels] == pytest.approx([32.0, 40.0])
    abandons = [row for row in rows if isinstance(row, AbandonRow)]
    assert [(row.engine, row.trials, row.lost_tokens) for row in abandons] == [("quick", 2, None), ("slow", 2, None)]
    assert [backend.made for backend in backends] == [Counter(endless=3)] * 2


async def test_trials_that_are_always_spoiled_are_an_error(clock: VirtualClock) -> None:
    spoiled = [ShortStandIn("short", clock, Turns(), 0.01)]
    with pytest.raises(
        EngineError, match=r"^short: 4 trials were spoiled by streams that ended too early; the machine"
    ):
        await clock.play(letting_go(PLAN, spoiled, clock, lambda _: None))
