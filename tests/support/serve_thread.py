"""`dynasor serve` as a process for the tests of a whole module: started without an event loop, its log a file."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.live_engine import until


@dataclass
class Served:
    """The process."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def written(self) -> str:
        """Whatever it has written to the standard output and the standard error."""
        return self.log.read_text()

    @property
    def memory_mib(self) -> float:
        """Its resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE") / 2**20

    @property
    def descriptors(self) -> int:
        """How many it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    async def wrote(self, text: str) -> None:
        """Wait until it has written something."""
        await until(lambda: text in self.written)


@contextmanager
def served(
    log: Path, *options: str, environ: Mapping[str, str] | None = None, wrapped: tuple[str, ...] = ()
) -> Iterator[Served]:
    """Start it, and wait until it listens; `wrapped` is a command that is to start it."""
    with log.open("wb") as words:
        process = subprocess.Popen(
            [*wrapped, sys.executable, "-m", "dynasor", "serve", "--port", "0", *options],
            env=os.environ | dict(environ or {}),
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
        )
    try:
        yield Served(process, _port(process, log), log)
    finally:
        process.kill()
        process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    while process.poll() is None:
        if found := re.search(r"serving http://.*:(\d+)/v1\n", log.read_text()):
            return int(found[1])
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError(log.read_text())
