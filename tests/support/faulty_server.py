"""A process that speaks the OpenAI HTTP API on a real socket, and the class that starts and questions it.

    python -m support.faulty_server --port 0 --token-delay-s 0.01

It prints its address once it listens, and ends when its standard input does, so that it never outlives its parent.
"""

import argparse
import asyncio
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Self
from urllib.request import Request, urlopen

import msgspec
from aiohttp import web

from support.faulty_app import FaultyApp, Key

_TESTS = Path(__file__).parents[1]


class Stats(msgspec.Struct):
    """What the server counted since it started or was reset; `active` is of this moment."""

    requests: int
    answered: int
    active: int
    aborted: int
    connections: int


class Log(msgspec.Struct):
    """Requests as they were received, and those whose answers were sent in full: (prompt, seed), in order."""

    received: list[Key]
    answered: list[Key]


class FaultyServer:
    """The server, as its parent sees it. Its methods block: in a coroutine, call them by `asyncio.to_thread`."""

    def __init__(self, *, port: int = 0, token_delay_s: float = 0.0) -> None:
        self._options = ("--port", str(port), "--token-delay-s", str(token_delay_s))
        self._process: subprocess.Popen[str] | None = None
        self._address = ""

    def start(self) -> Self:
        """Return when it listens."""
        command = [sys.executable, "-m", "support.faulty_server", *self._options]
        paths = [str(_TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        environ = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
        self._process = subprocess.Popen(
            command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self._process.stdout is not None
        self._address = self._process.stdout.readline().strip()
        assert self._address, "the server did not start"
        return self

    @property
    def url(self) -> str:
        """Its address, without /v1."""
        return self._address

    def stats(self, **until: int) -> Stats:
        """Its counters; with some given, as soon as they read so: `stats(active=0, aborted=3)`. Gives up after 60 s."""
        query = "&".join(f"{name}={value}" for name, value in until.items())
        return msgspec.json.decode(self._ask("GET", f"/stats?{query}"), type=Stats)

    def log(self) -> Log:
        """What it received and answered."""
        return msgspec.json.decode(self._ask("GET", "/log"), type=Log)

    def reset(self) -> None:
        """Forget what was counted and logged."""
        self._ask("POST", "/reset")

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.communicate("", timeout=60)
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _ask(self, method: str, path: str) -> bytes:
        with urlopen(Request(self._address + path, method=method), timeout=90) as response:
            body: bytes = response.read()
        return body


async def _serve(port: int, token_delay_s: float) -> None:
    runner = web.AppRunner(
        FaultyApp(token_delay_s).web, handler_cancellation=True, access_log=None, shutdown_timeout=0.1
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)  # noqa: T201 - so does the parent learn it
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--token-delay-s", type=float, default=0.0)
    given = options.parse_args()
    logging.disable()
    asyncio.run(_serve(given.port, given.token_delay_s))
