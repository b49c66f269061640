"""The comparison of engines: which measurement comes when. It names no engine, and prints nothing.

Engines take turns, and only one works at a time, so that whatever else the machine does hits all alike.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from itertools import cycle

from dynasor.bench.engine_backends import BACKENDS
from dynasor.bench.engine_cancel import AbandonTrial, Backend, CancelTrial, Watched, abandon_trial, cancel_trial
from dynasor.bench.engine_rows import Row, abandon_row, cancel_row, speed_rows
from dynasor.bench.engine_speed import LONGEST_TOKENS, TEMPERATURE, Asker, tokens_per_s
from dynasor.clock import Clock
from dynasor.datasets.problem_sets import problem_set
from dynasor.errors import EngineError
from dynasor.request import Message, Prompt

PROBLEMS = "words"
Tell = Callable[[str], None]

CONDITIONS = {
    "problems": f"{PROBLEMS}: every request another one, the same order for all engines",
    "temperature": TEMPERATURE,
    "max_tokens": LONGEST_TOKENS,
    "speed_slots": "each engine's own default: embedded 8, the others wait their turn; vLLM 256",
}
"""What is the same in every comparison."""


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """What is measured.

    Attributes:
        engines: names of `BACKENDS`, in the order of their turns.
        repeats: windows for each concurrency and engine.
        window_s: seconds of a window.
        cancels: trials for each engine.
        abandons: trials for each engine; each loads an engine.
        concurrencies: of the windows. The engines have as many slots as they have by default.
        slots: of the engines whose streams are cancelled and abandoned.
    """

    engines: tuple[str, ...]
    repeats: int = 5
    window_s: float = 3
    cancels: int = 20
    abandons: int = 5
    concurrencies: tuple[int, ...] = (1, 8, 32)
    slots: int = 8


def _asker() -> Asker:
    """The held-out problems, as every user's run asks them: the model's own template is put around at the engine."""
    prompts: list[Prompt] = [(Message("user", problem.question),) for problem in problem_set(PROBLEMS)]
    return Asker(cycle(prompts))


@dataclass(slots=True)
class CancelSeries:
    """One engine's trials. Trials of which nothing can be told are left out, and counted."""

    name: str
    engine: Watched
    asker: Asker = field(default_factory=_asker)
    trials: list[CancelTrial] = field(default_factory=list)
    left_out: int = 0

    async def go_on(self, clock: Clock, plan: EnginePlan) -> None:
        """Try once more.

        Raises:
            EngineError: more trials than are wanted were left out.
        """
        place = len(self.trials) + self.left_out
        trial = await cancel_trial(self.engine, clock, self.asker, plan.slots, place)
        if trial is not None:
            self.trials.append(trial)
            return
        self.left_out += 1
        if self.left_out > plan.cancels:
            told = f"{self.name}: {self.left_out} trials were spoiled by streams that ended too early"
            raise EngineError(f"{told}; the machine has too much other work", retryable=True)


def run_engines(plan: EnginePlan, clock: Clock, tell: Tell) -> list[Row]:
    """Start what is to be compared, and measure.

    Raises:
        UsageError: an engine cannot be started here.
        EngineError: it failed at its work.
    """
    rows: list[Row] = []
    for slots, measure in ((None, speeds), (plan.slots, letting_go)):
        with ExitStack() as stack:
            tell(f"starting {' and '.join(plan.engines)}, {slots or 'their usual'} slots")
            backends = [stack.enter_context(BACKENDS[name](slots)) for name in plan.engines]
            rows += asyncio.run(measure(plan, backends, clock, tell))
    return rows


async def speeds(plan: EnginePlan, backends: Sequence[Backend], clock: Clock, tell: Tell) -> list[Row]:
    """Tokens a second at every concurrency."""
    rows: list[Row] = []
    async with AsyncExitStack() as stack:
        engines = {backend.name: backend.engine() for backend in backends}
        askers = {name: _asker() for name in engines}
        for engine in engines.values():
            stack.push_async_callback(engine.close)
            await engine.check()
        for concurrency in plan.concurrencies:
            tell(f"tokens a second, {concurrency} at a time")
            found: dict[str, list[float]] = {name: [] for name in engines}
            for _ in range(plan.repeats):
                for name, engine in engines.items():
                    found[name].append(await tokens_per_s(engine, clock, askers[name], concurrency, plan.window_s))
            rows += speed_rows(found, concurrency)
    return rows


async def letting_go(plan: EnginePlan, backends: Sequence[Backend], clock: Clock, tell: Tell) -> list[Row]:
    """Streams cancelled, and streams abandoned."""
    tell("streams cancelled")
    rows = await _cancelled(plan, backends, clock)
    tell("streams abandoned")
    asker = _asker()
    abandoned: dict[str, list[AbandonTrial]] = {backend.name: [] for backend in backends}
    for _ in range(plan.abandons):
        for backend in backends:
            abandoned[backend.name].append(await abandon_trial(backend, clock, asker, plan.slots))
    return [*rows, *(abandon_row(name, plan.slots, trials) for name, trials in abandoned.items())]


async def _cancelled(plan: EnginePlan, backends: Sequence[Backend], clock: Clock) -> list[Row]:
    async with AsyncExitStack() as stack:
        series = [
            CancelSeries(backend.name, await stack.enter_async_context(Watched(backend.endless_engine(), clock)))
            for backend in backends
        ]
        for one in series:
            await one.engine.served_s(one.asker.next(1))  # the first request of all is no measure of the others
        while any(len(one.trials) < plan.cancels for one in series):
            for one in series:
                if len(one.trials) < plan.cancels:
                    await one.go_on(clock, plan)
    return [cancel_row(one.name, plan.slots, one.trials, one.left_out) for one in series]
