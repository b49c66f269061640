"""How fast an engine lets go: one stream cancelled, or all abandoned. One trial at a time.

All slots are taken by streams that do not end by themselves. It knows no engine and no server: the `Engine` protocol,
and of what stands behind it as much as `Backend` tells.
"""

import asyncio
from typing import NamedTuple, Protocol, Self

from dynasor.bench.engine_speed import Asker, counted
from dynasor.clock import Clock
from dynasor.engines.engine import Engine
from dynasor.errors import EngineError
from dynasor.request import Completion, Request, RequestId

STREAM_TOKENS = 850  # with the longest prompt, 140, it just fits into the built-in model's context

_SETTLE_S = 0.2  # for requests to reach the server and to begin; it takes some 20 ms
_LOOK_S = 0.002  # between two looks at whether anything runs
_REST_S = 30.0


class Backend(Protocol):
    """What stands behind an engine."""

    @property
    def name(self) -> str:
        """A word for people."""
        ...

    def engine(self) -> Engine:
        """Make an engine that answers as the model does."""
        ...

    def endless_engine(self) -> Engine:
        """Make an engine whose answers end at `max_tokens` and no earlier."""
        ...

    async def running(self) -> int:
        """How much runs there; more than before means that something is still at work."""
        ...

    async def generated_tokens(self) -> float | None:
        """Tokens generated so far, received by somebody or not; None where nobody counts them."""
        ...


class CancelTrial(NamedTuple):
    """Seconds.

    Attributes:
        alone_s: a request of one token, with nothing else at work.
        beside_s: the same in a free slot, beside the streams in all the others.
        told_s: from the cancel of a stream to its completion.
        freed_s: from the cancel to the end of a request of one token that waited for a slot; the service of that
            request, which `beside_s` tells, is part of it.
    """

    alone_s: float
    beside_s: float
    told_s: float
    freed_s: float


class AbandonTrial(NamedTuple):
    """Seconds from the instant when an engine is told to close, and tokens that were generated for nobody.

    Attributes:
        closed_s: until `close` returns.
        idle_s: until nothing runs any more.
        lost_tokens: None where nobody counts them.
    """

    closed_s: float
    idle_s: float
    lost_tokens: float | None


class Watched:
    """An engine that remembers when each of its requests ended. To enter it is to load, to leave it is to close."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock
        self._news = asyncio.Event()
        self._landed: dict[RequestId, tuple[float, Completion]] = {}
        self.submit, self.cancel = engine.submit, engine.cancel

    @property
    def completions(self) -> dict[RequestId, Completion]:
        """All that has ended."""
        return {id: completion for id, (_, completion) in self._landed.items()}

    async def landed_at(self, id: RequestId) -> float:
        """Wait until a request has ended, and give the instant.

        Raises:
            EngineError: it failed.
        """
        while id not in self._landed:
            self._news.clear()
            await self._news.wait()
        instant, completion = self._landed[id]
        counted(completion)
        return instant

    async def served_s(self, request: Request) -> float:
        """How long a request takes."""
        began = self._clock.now()
        self.submit(request)
        return await self.landed_at(request.id) - began

    async def __aenter__(self) -> Self:
        try:
            await self._engine.check()
        except BaseException:
            await self._engine.close()
            raise
        self._watching = asyncio.get_running_loop().create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._engine.close()
        await self._watching

    async def _watch(self) -> None:
        while ended := await self._engine.ready():  # after close, it comes back with nothing
            now = self._clock.now()
            self._landed |= {completion.id: (now, completion) for completion in ended}
            self._news.set()


async def cancel_trial(engine: Watched, clock: Clock, asker: Asker, slots: int, place: int) -> CancelTrial | None:
    """Fill all slots with streams, have one more request wait, and cancel a stream.

    Args:
        engine: it is idle, before and after.
        clock: what measures.
        asker: what makes the requests.
        slots: how many requests the engine answers at one time.
        place: which stream; any number.

    Returns:
        None where the stream had not begun, or another one ended before all was measured: such a trial tells nothing.
    """
    alone_s = await engine.served_s(asker.next(1))
    streams = await _fill(engine, clock, asker, slots)
    cut, waiting = streams[place % slots], asker.next(1)
    engine.submit(waiting)
    await clock.sleep(_SETTLE_S)
    sound = waiting.id not in engine.completions
    began = clock.now()
    engine.cancel(cut)
    told_s, freed_s = await engine.landed_at(cut) - began, await engine.landed_at(waiting.id) - began
    beside_s = await engine.served_s(asker.next(1))
    sound = sound and bool(engine.completions[cut].tokens) and not engine.completions.keys() & {*streams} - {cut}
    for id in streams:
        engine.cancel(id)
        await engine.landed_at(id)
    return CancelTrial(alone_s, beside_s, told_s, freed_s) if sound else None


async def abandon_trial(backend: Backend, clock: Clock, asker: Asker, slots: int) -> AbandonTrial:
    """Close an engine in the midst of its streams, and look at what goes on behind it.

    Raises:
        EngineError: something still runs after half a minute.
    """
    running, generated = await backend.running(), await backend.generated_tokens()
    async with Watched(backend.endless_engine(), clock) as engine:
        await _fill(engine, clock, asker, slots)
        began = clock.now()
    closed_s = clock.now() - began
    while await backend.running() > running:
        if clock.now() - began > _REST_S:
            raise EngineError(f"{backend.name} still works {_REST_S:g} s after its engine was closed", retryable=False)
        await clock.sleep(_LOOK_S)
    idle_s = clock.now() - began
    received = sum(counted(completion) for completion in engine.completions.values())
    after = await backend.generated_tokens()
    lost = None if after is None or generated is None else after - generated - received
    return AbandonTrial(closed_s, idle_s, lost)


async def _fill(engine: Watched, clock: Clock, asker: Asker, slots: int) -> list[RequestId]:
    """Start a stream in every slot."""
    streams = [asker.next(STREAM_TOKENS) for _ in range(slots)]
    for stream in streams:
        engine.submit(stream)
    await clock.sleep(_SETTLE_S)
    return [stream.id for stream in streams]
