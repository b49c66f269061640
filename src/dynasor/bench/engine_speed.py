"""How many tokens a second an engine generates, through the `Engine` protocol alone.

It knows no engine, no server and no machine, and reads time from the clock that it is given.
"""

from collections.abc import Iterator
from itertools import count
from math import inf
from typing import NamedTuple

from dynasor.clock import Clock
from dynasor.engines.engine import Engine
from dynasor.errors import EngineError
from dynasor.request import Completion, Finish, ProgramId, Prompt, Request, RequestId, Sampling

TEMPERATURE = 0.8
LONGEST_TOKENS = 512  # an answer of the built-in model takes about 70


class Asker:
    """Makes requests, each with the next prompt and an index of its own."""

    def __init__(self, prompts: Iterator[Prompt]) -> None:
        self._prompts = prompts
        self._indices = count()

    def next(self, max_tokens: int = LONGEST_TOKENS) -> Request:
        """A request; unseeded, as servers are faster so."""
        sampling = Sampling(temperature=TEMPERATURE, max_tokens=max_tokens)
        return Request(RequestId(ProgramId("bench"), next(self._indices)), next(self._prompts), sampling)


async def tokens_per_s(engine: Engine, clock: Clock, asker: Asker, concurrency: int, window_s: float) -> float:
    """Keep so many requests at the engine for a while, and count.

    The window opens when as many requests have ended as there are at one time, and the load stays on until all have
    ended that were begun in it. A request counts for the share of its time that lies in the window: neither an engine
    that fills nor one that runs empty is part of the figure.

    Raises:
        EngineError: a request failed, or came back without a count.
    """
    running: dict[RequestId, float] = {}
    lives: list[_Life] = []
    opened = inf

    def start() -> None:
        request = asker.next()
        running[request.id] = clock.now()
        engine.submit(request)

    for _ in range(concurrency):
        start()
    while len(lives) < concurrency or min(running.values()) < opened + window_s:
        for completion in await engine.ready():
            lives.append(_Life(running.pop(completion.id), clock.now(), counted(completion)))
            start()
        if len(lives) >= concurrency:
            opened = min(opened, clock.now())
    await _cut(engine, running)
    return sum(life.tokens_within(opened, opened + window_s) for life in lives) / window_s


class _Life(NamedTuple):
    """One request that has ended."""

    began: float
    ended: float
    tokens: int

    def tokens_within(self, opened: float, closed: float) -> float:
        """Its tokens in a window, as if they had come evenly."""
        within = min(closed, self.ended) - max(opened, self.began)
        return self.tokens * within / (self.ended - self.began) if within > 0 else 0.0


async def _cut(engine: Engine, running: dict[RequestId, float]) -> None:
    for id in running:
        engine.cancel(id)
    while running:
        for completion in await engine.ready():
            del running[completion.id]


def counted(completion: Completion) -> int:
    """The tokens of a completion.

    Raises:
        EngineError: it failed, or nobody counted them.
    """
    if completion.finish is Finish.FAILED:
        raise EngineError(f"a request failed: {completion.error}", retryable=completion.retryable)
    if completion.tokens is None:
        raise EngineError("the server does not count the tokens of its answers", retryable=False)
    return completion.tokens
