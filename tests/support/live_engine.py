"""What the tests of the live engine share: clocks that never wait, and ways to put a question."""

import asyncio
from collections.abc import Callable
from typing import Any

from dynasor.clock import WallClock
from dynasor.engines.endpoint import Timeouts
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.request import Completion, ProgramId, Prompt, Request, RequestId, Sampling
from support.engine_contract import collect

PATIENT = Timeouts(connect_s=120.0, idle_s=300.0)
"""For real servers: other work may keep a machine from them, and from us, for longer than a user would wait."""

Start = Callable[..., OpenAIEngine]
"""Make an engine at the faulty server, with settings of its `Endpoint`, and `clock` or `environ`."""


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


def request(
    prompt: Prompt, *, index: int = 0, seed: int | None = None, report_every: int | None = None, **sampling: Any
) -> Request:
    id = RequestId(ProgramId("p"), index)
    return Request(id, prompt, Sampling(**sampling), seed, report_every=report_every)


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
