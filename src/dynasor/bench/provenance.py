"""Where a result came from: the command, the code and the machine that made it."""

import platform
import shlex
import subprocess
import sys
from os import cpu_count
from pathlib import Path

from dynasor import __version__
from dynasor.clock import utc_timestamp


def provenance(**more: object) -> dict[str, object]:
    """What to write beside a result."""
    return {
        "command": shlex.join(["dynasor", *sys.argv[1:]]),
        "date": utc_timestamp(),
        "dynasor": __version__,
        "commit": _commit(),
        "machine": f"{platform.machine()}, {cpu_count()} cores, {_memory_gib()} GiB, {platform.system()}",
        "python": platform.python_version(),
    } | more


def _commit() -> str:
    """The commit of this code, where it runs from a checkout; marked where the tree has changes."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def _memory_gib() -> int | str:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return "unknown"
    return round(int(lines[0].split()[1]) / 2**20)
