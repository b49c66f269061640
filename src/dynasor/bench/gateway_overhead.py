"""What a gateway adds, side by side: every arm in turn in front of the same mock backend, round after round.

CPU time is the gateway's own and holds on a busy machine; rates and latencies need a quiet one. An arm is started anew
in every round, so that memory is counted from the same state, and nothing of another arm runs beside it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from dynasor.bench.gateway_arms import DIRECT, Arm
from dynasor.bench.gateway_load import Found, Load
from dynasor.bench.gateway_processes import Cores, Usage, answers, free_port, generate, mock, proxy, usage
from dynasor.clock import WallClock
from dynasor.errors import EngineError

WARM_UP = Load(port=0, seconds=0.5, connections=50)
_LOOK_S = 0.25
_NONE = Usage(0.0, 0, 0)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One arm under one load in one round.

    Attributes:
        idle_mib: the gateway's memory before any request of this load.
        peak_mib: the most of it that was seen.
        cpu_s: of the gateway; 0 where there is none.
    """

    arm: str
    load: str
    round: int
    found: Found
    cpu_s: float
    idle_mib: float
    peak_mib: float

    @property
    def us_per_request(self) -> float:
        """Of the gateway's processor."""
        return 1e6 * self.cpu_s / self.found.requests if self.found.requests else 0.0

    @property
    def us_per_token(self) -> float:
        """The same for a streamed token, with its share of the request."""
        return 1e6 * self.cpu_s / self.found.tokens if self.found.tokens else 0.0

    @property
    def kb_per_stream(self) -> float:
        """Memory of an open stream, in kB."""
        return (self.peak_mib - self.idle_mib) * 1048.576 / max(self.found.requests, 1)


def loads(seconds: float, held: int) -> Mapping[str, Load]:
    """All loads, by name; `held` streams are open at one time in the first of them."""
    return {
        "held": Load(port=0, seconds=seconds, connections=held, stream=True, holds=True, mock="tokens=1000000 every=1"),
        "plain": Load(port=0, seconds=seconds),
        "waiting": Load(port=0, seconds=seconds, connections=60, rate=100.0, mock="tokens=16 first=0.5"),
        "streams": Load(port=0, seconds=seconds, stream=True, spread_s=2.0, mock="tokens=100 every=0.02"),
        "streams at once": Load(port=0, seconds=seconds, stream=True, mock="tokens=100 every=0.02"),
        "fast streams": Load(
            port=0, seconds=seconds, connections=100, stream=True, spread_s=2.0, mock="tokens=200 every=0.01"
        ),
    }


async def overhead(
    arms: Sequence[Arm], rounds: int, asked: Mapping[str, Load], at: Cores, tell: Callable[[str], None]
) -> AsyncIterator[Row]:
    """Rows, as they are measured; in every round another arm is first. `tell` is told of a rival that fails.

    Raises:
        EngineError: one of the project's own arms fails.
    """
    async with mock(at.others) as backend:
        for number in range(rounds):
            turn = number % len(arms)
            for arm in [*arms[turn:], *arms[:turn]]:
                try:
                    async for row in _one(arm, number, asked, backend, at):
                        yield row
                except EngineError as fault:
                    if not arm.is_rival:
                        raise
                    tell(f"{number}: {arm.name} is left out: {fault}")


async def _one(arm: Arm, number: int, asked: Mapping[str, Load], backend: int, at: Cores) -> AsyncIterator[Row]:
    with TemporaryDirectory() as name:
        async with AsyncExitStack() as running:
            port, group = backend, 0
            if arm is not DIRECT:
                port = free_port()
                group = await running.enter_async_context(started(arm, port, backend, Path(name), at))
            for load, of_load in asked.items():
                yield await _measured(arm, number, (load, addressed(of_load, arm, port)), group, at)


@asynccontextmanager
async def started(arm: Arm, port: int, backend: int, folder: Path, at: Cores) -> AsyncIterator[int]:
    """A gateway that serves; gives the id of its group of processes."""
    log = folder / f"{port}.log"
    async with proxy(arm.prepared(port, backend, folder), at.gateway, log, arm.environ) as group:
        await answers(port, arm.ready, log)
        yield group


def addressed(load: Load, arm: Arm, port: int) -> Load:
    """A load for an arm."""
    connections = min(load.connections, arm.most_held) if load.holds else load.connections
    return msgspec.structs.replace(load, port=port, key=arm.key, program=arm.program, connections=connections)


async def _measured(arm: Arm, number: int, named: tuple[str, Load], group: int, at: Cores) -> Row:
    name, load = named
    if not load.holds:
        await generate(msgspec.structs.replace(addressed(WARM_UP, arm, load.port), stream=load.stream), at.others)
    before = usage(group) if group else _NONE
    peak = [before.memory_bytes]
    watching = asyncio.ensure_future(_watch(group, peak)) if group else None
    try:
        found = await generate(load, at.others)
    finally:
        if watching is not None:
            watching.cancel()
    after = usage(group) if group else _NONE
    return Row(
        arm=arm.name,
        load=name,
        round=number,
        found=found,
        cpu_s=after.cpu_s - before.cpu_s,
        idle_mib=before.memory_bytes / 2**20,
        peak_mib=max(peak) / 2**20,
    )


async def _watch(group: int, peak: list[int]) -> None:
    clock = WallClock()
    while True:
        await clock.sleep(_LOOK_S)
        peak.append(usage(group).memory_bytes)
