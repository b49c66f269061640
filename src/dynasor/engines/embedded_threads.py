"""A few threads that wait for what blocks, so that an event loop need not. Knows nothing of what they wait for.

They are not those of `concurrent.futures`: a process that ends joins those before anything can tell what they wait for
to stop.
"""

import asyncio
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

_T = TypeVar("_T")
_PATIENCE_S = 10.0  # at the end of the process; what has not stopped by then is left to the operating system


class Threads:
    """Do jobs, in the order in which they were started.

    Attributes:
        stopping: set when the threads are to end; a job that takes long looks at it.
    """

    def __init__(self, count: int, name: str) -> None:
        self.stopping = threading.Event()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=_work, args=(self._jobs,), name=f"{name} {number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()
        self._end = weakref.finalize(self, _end, self._jobs, self._threads, self.stopping)

    def start(self, job: Callable[[], _T]) -> "asyncio.Future[_T]":
        """Have a job done; what it returns or raises is the future's."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_T] = loop.create_future()
        self._jobs.put(_Job(job, future, loop))
        return future

    def close(self) -> None:
        """End the threads. It waits for what they are at, so await that first."""
        self._end()


@dataclass(slots=True)
class _Job:
    """Something to do, and who waits for it."""

    work: Callable[[], Any]
    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop

    def do(self) -> None:
        try:
            result, fault = self.work(), None
        except Exception as raised:  # noqa: BLE001  (the thread's door: it belongs to whoever awaits the future)
            result, fault = None, raised
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.loop.call_soon_threadsafe(_settle, self.future, result, fault)


def _settle(future: "asyncio.Future[Any]", result: Any, fault: Exception | None) -> None:
    if future.done():
        return
    if fault is None:
        future.set_result(result)
    else:
        future.set_exception(fault)


def _work(jobs: "SimpleQueue[_Job | None]") -> None:
    while (job := jobs.get()) is not None:
        job.do()
        del job  # it holds what it worked with, and the next may be long in coming


def _end(jobs: "SimpleQueue[_Job | None]", threads: Sequence[threading.Thread], stopping: threading.Event) -> None:
    stopping.set()
    for _ in threads:
        jobs.put(None)
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(_PATIENCE_S)
