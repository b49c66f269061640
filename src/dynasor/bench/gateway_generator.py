"""The load generator: a process of its own that is handed a `Load` as JSON and tells a `Found`.

In a closed loop the end of a request is the start of the next, so it shows what a gateway can do; in an open one
requests come when they come, so it shows how long they wait, and is timed from when they were due.
"""

import asyncio
import resource
import sys
from random import Random

import msgspec
import uvloop

from dynasor.bench.gateway_client import Connection, Times
from dynasor.bench.gateway_load import Found, Load, spread
from dynasor.clock import WallClock

_AT_ONCE = 100  # connections that are opened side by side
_LAST_S = 30.0  # for answers that have begun
_OPEN_S = 90.0  # until all streams that are to be held have their first token
_BEAT_S = 0.01
_LOOK_S = 0.02


class Generator:
    """Sends what a load says."""

    def __init__(self, load: Load) -> None:
        self._load, self._clock = load, WallClock()
        self._times, self._beats = Times(), Times()
        self._all: list[Connection] = []
        self._free: list[Connection] = []
        self._open = 0
        self._until = 0.0

    async def run(self) -> Found:
        """Send, and tell what came of it."""
        load = self._load
        await self._connect(load.connections)
        beating = asyncio.ensure_future(self._beat()) if load.beats else None
        if load.holds:
            count, seconds = await self._hold()
        else:
            began = self._clock.now()
            self._until = began + load.seconds
            await (self._open_loop(began) if load.rate else self._closed_loop(began))
            count, seconds = len(self._times.latency), self._clock.now() - began
        if beating is not None:
            beating.cancel()
        return self._found(count, seconds)

    def _found(self, count: int, seconds: float) -> Found:
        times, used = self._times, resource.getrusage(resource.RUSAGE_SELF)
        return Found(
            requests=count,
            failed=times.failed,
            fault=times.fault,
            tokens=len(times.delay),
            seconds=seconds,
            latency=spread(times.latency),
            first=spread(times.first),
            delay=spread(times.delay),
            beat=spread(self._beats.latency),
            cpu_s=used.ru_utime + used.ru_stime,
        )

    async def _connect(self, count: int) -> None:
        for start in range(0, count, _AT_ONCE):
            await asyncio.gather(*(self._one(number) for number in range(start, min(count, start + _AT_ONCE))))

    async def _one(self, number: int) -> Connection:
        loop, load = asyncio.get_running_loop(), self._load
        request = load.request(number)
        _, made = await loop.create_connection(
            lambda: Connection(request, self._times, self._ended), "127.0.0.1", load.port
        )
        self._all.append(made)
        self._free.append(made)
        return made

    async def _closed_loop(self, began: float) -> None:
        self._open = len(self._all)
        gap = self._load.spread_s / len(self._all)
        for place, connection in enumerate(self._all):
            due_at = began + place * gap
            if (wait_s := due_at - self._clock.now()) > 0:
                await self._clock.sleep(wait_s)
            connection.ask(due_at)
        await self._answered()

    async def _open_loop(self, began: float) -> None:
        rng, due_at = Random(self._load.seed), began
        while (due_at := due_at + rng.expovariate(self._load.rate)) < self._until:
            if (wait_s := due_at - self._clock.now()) > 0:
                await self._clock.sleep(wait_s)
            while self._free and not self._free[-1].is_open:
                self._free.pop()
            if not self._free:
                await self._one(len(self._all))
            self._open += 1
            self._free.pop().ask(due_at)
        await self._answered()

    async def _hold(self) -> tuple[int, float]:
        """Open all streams, a bunch at a time, and keep them."""
        limit = self._clock.now() + _OPEN_S
        for start in range(0, len(self._all), _AT_ONCE):
            bunch = self._all[start : start + _AT_ONCE]
            for connection in bunch:
                connection.ask(self._clock.now())
            await self._until_begun(bunch, limit)
        began = self._clock.now()
        await self._clock.sleep(self._load.seconds)
        held = sum(connection.is_open and connection.began for connection in self._all)
        for connection in self._all:
            if connection.is_open and not connection.began:
                self._times.fail(f"no token came within {_OPEN_S:g} s")
        seconds = self._clock.now() - began
        for connection in self._all:
            connection.leave()
        return held, seconds

    async def _until_begun(self, bunch: list[Connection], limit: float) -> None:
        while not all(one.began or not one.is_open for one in bunch) and self._clock.now() < limit:
            await self._clock.sleep(_LOOK_S)

    async def _answered(self) -> None:
        """Wait for what has begun; what does not come in time has failed."""
        limit = self._until + _LAST_S
        while self._open and self._clock.now() < limit:
            await self._clock.sleep(_LOOK_S)
        for _ in range(self._open):
            self._times.fail(f"no answer came within {_LAST_S:g} s")

    def _ended(self, connection: Connection) -> None:
        now = self._clock.now()
        if connection.is_open and not self._load.rate and not self._load.holds and now < self._until:
            connection.ask(now)
            return
        self._open -= 1
        if connection.is_open:
            self._free.append(connection)

    async def _beat(self) -> None:
        request = b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
        loop, clock = asyncio.get_running_loop(), self._clock
        _, beat = await loop.create_connection(
            lambda: Connection(request, self._beats, lambda _: None), "127.0.0.1", self._load.port
        )
        while beat.is_open:
            asked = len(self._beats.latency)
            beat.ask(clock.now())
            while len(self._beats.latency) == asked and beat.is_open:
                await clock.sleep(_BEAT_S)


def main() -> None:
    """Read a load, and write what was found."""
    load = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(Generator(load).run())))


if __name__ == "__main__":
    main()
