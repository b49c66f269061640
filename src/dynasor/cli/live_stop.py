"""Ctrl-C for runs that go on together: asked once, what is in flight lands; asked again, it is cut."""

import asyncio
import signal
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from dynasor.launch.launch import Launch

INTERRUPTED = 130  # what shells expect of a program that Ctrl-C ended
UNFINISHED = 1


async def run_together(launches: Sequence[Launch], say: Callable[[str], None]) -> None:
    """Run to the end or an interruption; where one run fails, the others stop too, and its error is raised."""
    tasks = [asyncio.ensure_future(launch.run()) for launch in launches]
    _listen(launches, tasks, say)
    await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    if not all(task.done() for task in tasks):
        _interrupt(launches)
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()


def _listen(launches: Sequence[Launch], tasks: Iterable["asyncio.Future[Any]"], say: Callable[[str], None]) -> None:
    def stop() -> None:
        if any(launch.batch.interrupted for launch in launches):
            for task in tasks:
                task.cancel()
            return
        _interrupt(launches)
        count = sum(launch.batch.request_count for launch in launches)
        say(f"stopping: {count} requests in flight land first; again to cut them")

    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop)


def _interrupt(launches: Iterable[Launch]) -> None:
    for launch in launches:
        launch.batch.interrupt()
