"""A place where live points are served, in virtual time: an engine of known speed, whose counters go with the clock."""

from collections.abc import Sequence

from dynasor.bench.online_live_rows import LivePoint
from dynasor.bench.online_live_run import Reading
from dynasor.bench.process_time import ThreadTime, Times
from dynasor.errors import EngineError
from dynasor.request import Completion, Finish
from support.timed_engine import TimedEngine, VirtualClock

STEP_S = 0.01


class FailingEngine(TimedEngine):
    """One of whose answers fails."""

    async def ready(self) -> Sequence[Completion]:
        ended = await super().ready()
        failed = {"finish": Finish.FAILED, "error": "gone", "retryable": True}
        return [Completion(id=each.id, **failed) for each in ended]  # type: ignore[arg-type]


class TimedStation:
    """Every answer takes 20 steps, of `STEP_S` each; a step generates a token for each of the slots."""

    def __init__(self, clock: VirtualClock, step_s: float = STEP_S) -> None:
        self._clock = clock
        self._step_s = step_s
        self.prepared: list[LivePoint] = []
        self.broken = False

    async def prepare(self, point: LivePoint) -> None:
        self.prepared.append(point)

    def engine(self, point: LivePoint) -> TimedEngine:
        kind = FailingEngine if self.broken else TimedEngine
        return kind(self._clock, slots=point.slots, token_s=self._step_s, answer_tokens=20)

    async def read(self, point: LivePoint) -> Reading:
        if self.broken and self._clock.now() > 0:
            raise EngineError("no metrics", retryable=True)
        steps = self._clock.now() / self._step_s
        return Reading(self._clock.now(), steps, steps * point.slots)

    def times(self, point: LivePoint) -> Times:
        return {1: ThreadTime(self._clock.now(), self._clock.now() / 3)}
