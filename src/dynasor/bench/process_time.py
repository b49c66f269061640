"""The processor's time: of this process, and of a group of others with how long they waited for a core (Linux only).

A thread that is ready to run and has no core waits: on a quiet machine that is next to nothing, so it tells a noisy
machine from slow software.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_GROUP = 2  # place of the process group, behind the name in parentheses, in /proc/PID/stat


class ThreadTime(NamedTuple):
    """Seconds of one thread since it began."""

    cpu_s: float
    waited_s: float


Times = Mapping[int, ThreadTime]
"""By thread; empty where the system does not tell."""


def process_cpu_s() -> float:
    """The processor's seconds of this process so far."""
    return time.process_time()


def thread_cpu_s() -> float:
    """The processor's seconds of this thread so far."""
    return time.thread_time()


def group_times(group: int, proc: Path = _PROC) -> dict[int, ThreadTime]:
    """All threads of all processes of a group, by their ids."""
    found: dict[int, ThreadTime] = {}
    for process in proc.glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):  # it has ended meanwhile, or is not ours to look at
            if int((process / "stat").read_text().rpartition(")")[2].split()[_GROUP]) == group:
                found |= _threads(process)
    return found


def _threads(process: Path) -> dict[int, ThreadTime]:
    found = {}
    for thread in (process / "task").iterdir():
        with suppress(OSError, ValueError):
            ran, waited, _ = (thread / "schedstat").read_text().split()
            found[int(thread.name)] = ThreadTime(int(ran) / 1e9, int(waited) / 1e9)
    return found


def cpu_s(before: Times, after: Times) -> float:
    """What all threads computed between two looks."""
    return sum(each.cpu_s - before.get(id, _NOTHING).cpu_s for id, each in after.items())


def waited_share(before: Times, after: Times) -> float:
    """Of the thread that computed most between two looks: the share of its time in which it had no core; else 0."""
    spent = {id: _less(each, before.get(id, _NOTHING)) for id, each in after.items()}
    if not spent:
        return 0.0
    busiest = max(spent.values())
    ready_s = busiest.cpu_s + busiest.waited_s
    return busiest.waited_s / ready_s if ready_s else 0.0


_NOTHING = ThreadTime(0.0, 0.0)


def _less(after: ThreadTime, before: ThreadTime) -> ThreadTime:
    return ThreadTime(after.cpu_s - before.cpu_s, after.waited_s - before.waited_s)
