"""Processes of a gateway benchmark: started on a core of their own, looked at through /proc, and ended with the run.

It knows no arm and no load. Everything listens on the loopback interface.
"""

import asyncio
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dynasor.bench.gateway_load import Found, Load
from dynasor.clock import WallClock
from dynasor.errors import EngineError

HOST = "127.0.0.1"
_LOOK_S = 0.1
_STOP_S = 10.0
_LAST_LINES = 3
_TICKS = os.sysconf("SC_CLK_TCK")
_DESCRIPTORS = 1 << 20
_GUARD = 'read -r _ || kill -s TERM -- "-$1"'
"""Waits for a line. Where its pipe ends without one, whoever started the group is dead, and so must the group be."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core the gateway runs on, and which everything else.

    Attributes:
        gateway, others: the same where the machine has but one; None where cores cannot be chosen (not on Linux).
    """

    gateway: int | None
    others: int | None


def cores(*, free: bool = False) -> Cores:
    """The first two that this process may use; free: wherever the system puts them."""
    if free or not hasattr(os, "sched_getaffinity"):
        return Cores(None, None)
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[0], usable[min(1, len(usable) - 1)])


@dataclass(frozen=True, slots=True)
class Usage:
    """What processes have used so far: seconds of the processor, bytes of memory, and open descriptors."""

    cpu_s: float
    memory_bytes: int
    descriptors: int


def usage(group: int) -> Usage:
    """Of all processes of a group."""
    cpu_ticks, memory, descriptors = 0, 0, 0
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            fields = status.read_text().rpartition(") ")[2].split()
            if int(fields[2]) == group:
                cpu_ticks += int(fields[11]) + int(fields[12])
                memory += int(fields[21]) * resource.getpagesize()
                descriptors += len(list((status.parent / "fd").iterdir()))
    return Usage(cpu_ticks / _TICKS, memory, descriptors)


def allow_descriptors() -> int:
    """Let this process and its children open as many as the machine allows; returns how many that is."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if most == resource.RLIM_INFINITY else most
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    return wanted


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _on(core: int | None) -> Iterator[None]:
    """Whatever is started within runs on a core."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@asynccontextmanager
async def mock(core: int | None) -> AsyncIterator[int]:
    """A model server; gives its port."""
    with _on(core):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "dynasor.bench.gateway_mock", "0"),
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    async with _guarded(process):
        assert process.stdout is not None  # noqa: S101  (for the type checker)
        line = await process.stdout.readline()
        if not line.strip():
            raise EngineError("the mock backend did not start", retryable=False)
        yield int(line)


@asynccontextmanager
async def proxy(
    command: Sequence[str], core: int | None, log: Path, environ: Mapping[str, str] | None = None
) -> AsyncIterator[int]:
    """Any gateway as a group of processes; gives the id of the group. It may not listen yet: see `answers`."""
    with _on(core), log.open("wb") as words:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=dict(os.environ) | dict(environ or {}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            start_new_session=True,
        )
    async with _guarded(process):
        yield process.pid


async def answers(port: int, path: str, log: Path, limit_s: float = 240.0) -> None:
    """Wait until `GET` of a path is answered with 200.

    Raises:
        EngineError: it is not, in time; its last words tell why.
    """
    clock = WallClock()
    until = clock.now() + limit_s
    while clock.now() < until:
        if b" 200 " in (await get(port, path))[:16]:
            return
        await clock.sleep(_LOOK_S)
    raise EngineError(f"no answer at {HOST}:{port}{path} within {limit_s:g} s: {_last_words(log)}", retryable=False)


def _last_words(log: Path) -> str:
    return " | ".join(log.read_text(errors="replace").splitlines()[-_LAST_LINES:])


async def get(port: int, path: str) -> bytes:
    """The bytes of an answer; none where there is none."""
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return b""
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: {HOST}:{port}\r\nconnection: close\r\n\r\n".encode())
        async with asyncio.timeout(5.0):
            return await reader.read(1 << 16)
    except (OSError, TimeoutError):
        return b""
    finally:
        writer.close()


async def generate(load: Load, core: int | None) -> Found:
    """Send a load from a process of its own.

    Raises:
        EngineError: it failed.
    """
    with _on(core):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "dynasor.bench.gateway_generator"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    async with _guarded(process):
        out, _ = await process.communicate(msgspec.json.encode(load))
    if process.returncode:
        raise EngineError("the load generator failed", retryable=False)
    return msgspec.json.decode(out, type=Found)


@asynccontextmanager
async def _guarded(process: asyncio.subprocess.Process) -> AsyncIterator[None]:
    """A group of processes that ends with the context, and with this process, however that ends."""
    guard = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", _GUARD, "guard", str(process.pid)), stdin=asyncio.subprocess.PIPE, start_new_session=True
    )
    try:
        yield
    finally:
        await _stop(process)
        await guard.communicate(b"over\n")


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End a whole group: politely first, and what is left of it at once."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(TimeoutError):
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
