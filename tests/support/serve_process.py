"""`dynasor serve` as a process of its own, for what only a process does: signals, its end, its words."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass
class Serve:
    """The process."""

    process: asyncio.subprocess.Process
    port: int

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self, limit_s: float = 10.0) -> int:
        """Its exit status."""
        async with asyncio.timeout(limit_s):
            return await self.process.wait()


@asynccontextmanager
async def serve(*options: str, **environ: str) -> AsyncIterator[Serve]:
    """Start it, and wait until it listens."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dynasor", "serve", "--port", "0", *options),
        env=os.environ | environ,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(120):
            line = (await process.stderr.readline()).decode()
        found = re.search(r"serving http://.*:(\d+)/v1", line)
        assert found is not None, line + (await process.stderr.read()).decode()
        yield Serve(process, int(found[1]))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
