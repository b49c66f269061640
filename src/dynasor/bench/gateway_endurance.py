"""How a gateway bears what lasts: very many streams open at one time, and hours of work at a load that it can do.

Both look at it from outside: memory, open descriptors, and how soon it answers `GET /health`.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from dynasor.bench.gateway_arms import Arm
from dynasor.bench.gateway_load import Found, Load, Seen
from dynasor.bench.gateway_overhead import addressed, started
from dynasor.bench.gateway_processes import Cores, Usage, free_port, generate, get, mock, usage
from dynasor.clock import WallClock
from dynasor.errors import EngineError

SEGMENT_S = 30.0
_SPARE = 200  # descriptors of a process that are no streams
_LOOK_S = 1.0
_GONE_S = 30.0
_LOAD = 0.7  # of what it can do
_STREAMS = Load(port=0, connections=50, stream=True, mock="tokens=100 every=0.05")
_SETTLED = 0.2  # of the time: until then memory may still grow to its working size


class Look(msgspec.Struct, frozen=True):
    """One look at the gateway, so many seconds after the start; `open` requests are at the backend."""

    at_s: float
    memory_mib: float
    descriptors: int
    cpu_s: float
    open: int


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """Streams that were open at one time.

    Attributes:
        gateways: processes that shared them; a process needs two descriptors a stream.
        idle_mib, peak_mib: of all of these together.
        looks: once a second, from before the first stream.
        left_s: until nothing was open at the backend after all clients left; less than 0 where something stayed open.
        descriptors_before, descriptors_after: of the gateways.
    """

    streams: int
    gateways: int
    founds: list[Found]
    idle_mib: float
    peak_mib: float
    looks: list[Look]
    left_s: float
    descriptors_before: int
    descriptors_after: int

    @property
    def kb_per_stream(self) -> float:
        """Memory of one, in kB."""
        return (self.peak_mib - self.idle_mib) * 1048.576 / self.streams


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a soak: requests and streams side by side, and a look at its end."""

    plain: Found
    streams: Found
    look: Look


def gateways_for(streams: int, descriptors: int) -> int:
    """How many processes it takes to hold so many streams, where each may have so many descriptors.

    Raises:
        EngineError: the load generator cannot open so many connections.
    """
    if streams + _SPARE > descriptors:
        told = f"{streams} streams need more than the {descriptors} descriptors that a process may have here"
        raise EngineError(f"{told}; hold fewer, or raise the hard limit (ulimit -Hn)", retryable=False)
    return -(-2 * streams // (descriptors - _SPARE))


async def hold(arm: Arm, streams: int, hold_s: float, descriptors: int, at: Cores) -> Held:
    """Hold so many streams, each with a token every five seconds."""
    count = gateways_for(streams, descriptors)
    shares = [streams // count + (number < streams % count) for number in range(count)]
    load = Load(port=0, seconds=hold_s, connections=1, stream=True, holds=True, mock="tokens=1000000 every=5")
    async with AsyncExitStack() as running:
        backend, folder = await running.enter_async_context(mock(at.others)), _folder(running)
        ports = [free_port() for _ in shares]
        groups = [await running.enter_async_context(started(arm, port, backend, folder, at)) for port in ports]
        looks = [await _look(groups, backend, 0.0)]
        watching = asyncio.ensure_future(_watch(groups, backend, looks))
        founds = await asyncio.gather(
            *(
                generate(msgspec.structs.replace(addressed(load, arm, port), connections=share), at.others)
                for port, share in zip(ports, shares, strict=True)
            )
        )
        watching.cancel()
        left_s = await _until_left(backend)
        after = await _look(groups, backend, 0.0)
    return Held(
        streams=streams,
        gateways=count,
        founds=list(founds),
        idle_mib=looks[0].memory_mib,
        peak_mib=max(look.memory_mib for look in looks),
        looks=looks,
        left_s=left_s,
        descriptors_before=looks[0].descriptors,
        descriptors_after=after.descriptors,
    )


async def soak(arm: Arm, seconds: float, at: Cores, segment_s: float = SEGMENT_S) -> AsyncIterator[Segment]:
    """Ask for a long time at 70 % of what it can do, with streams beside it."""
    clock = WallClock()
    async with AsyncExitStack() as running:
        backend, folder = await running.enter_async_context(mock(at.others)), _folder(running)
        port = free_port()
        group = await running.enter_async_context(started(arm, port, backend, folder, at))
        most = await _together(arm, Load(port=port, seconds=min(5.0, segment_s)), min(5.0, segment_s), at)
        plain = Load(port=port, rate=_LOAD * most[0].rate, beats=True)
        began = clock.now()
        while clock.now() - began < seconds:
            found, streams = await _together(arm, plain, segment_s, at)
            look = await _look([group], backend, clock.now() - began)
            yield Segment(plain=found, streams=streams, look=look)


async def _together(arm: Arm, plain: Load, seconds: float, at: Cores) -> tuple[Found, Found]:
    both = (msgspec.structs.replace(load, seconds=seconds) for load in (plain, _STREAMS))
    found, streams = await asyncio.gather(*(generate(addressed(load, arm, plain.port), at.others) for load in both))
    return found, streams


def _folder(running: AsyncExitStack) -> Path:
    return Path(running.enter_context(TemporaryDirectory()))


async def _watch(groups: Sequence[int], backend: int, looks: list[Look]) -> None:
    clock = WallClock()
    began = clock.now()
    while True:
        await clock.sleep(_LOOK_S)
        looks.append(await _look(groups, backend, clock.now() - began))


async def _look(groups: Sequence[int], backend: int, at_s: float) -> Look:
    used = [usage(group) for group in groups]
    total = Usage(
        sum(one.cpu_s for one in used), sum(one.memory_bytes for one in used), sum(one.descriptors for one in used)
    )
    return Look(at_s, total.memory_bytes / 2**20, total.descriptors, total.cpu_s, (await _seen(backend)).active)


async def _seen(backend: int) -> Seen:
    _, _, body = (await get(backend, "/seen")).partition(b"\r\n\r\n")
    return msgspec.json.decode(body, type=Seen) if body else Seen(active=-1)


async def _until_left(backend: int) -> float:
    clock = WallClock()
    began = clock.now()
    while clock.now() - began < _GONE_S:
        if (await _seen(backend)).active == 0:
            return clock.now() - began
        await clock.sleep(_LOOK_S / 10)
    return -1.0


def growth_mib_per_minute(segments: Sequence[Segment]) -> float:
    """The slope of memory over time, by least squares, once it has settled."""
    looks = [segment.look for segment in segments]
    settled = [look for look in looks if look.at_s >= _SETTLED * looks[-1].at_s]
    if len(settled) < 2:
        return 0.0
    mean_s = sum(look.at_s for look in settled) / len(settled)
    mean_mib = sum(look.memory_mib for look in settled) / len(settled)
    over = sum((look.at_s - mean_s) * (look.memory_mib - mean_mib) for look in settled)
    return 60 * over / sum((look.at_s - mean_s) ** 2 for look in settled)
