import asyncio
import gc
import threading

import pytest

from dynasor.engines.embedded_threads import Threads


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tested")]


async def test_jobs_are_done_elsewhere_and_give_what_they_return_or_raise() -> None:
    threads = Threads(2, "tested")
    here = threading.current_thread()
    assert await threads.start(threading.current_thread) is not here
    with pytest.raises(ZeroDivisionError):
        await threads.start(lambda: 1 // 0)
    assert await threads.start(lambda: 7) == 7
    threads.close()
    assert names() == []


async def test_as_many_jobs_at_a_time_as_threads() -> None:
    threads, met = Threads(3, "tested"), threading.Barrier(3, timeout=5)
    await asyncio.gather(*(threads.start(met.wait) for _ in range(3)))
    threads.close()


async def test_a_job_sees_that_it_is_to_stop() -> None:
    threads = Threads(1, "tested")
    waiting = threads.start(lambda: threads.stopping.wait(5))
    threads.close()
    assert await waiting is True


async def test_nobody_waits_any_more() -> None:
    threads, go = Threads(1, "tested"), threading.Event()
    threads.start(lambda: go.wait(5)).cancel()
    go.set()
    assert await threads.start(lambda: 7) == 7
    threads.close()


def test_the_loop_is_closed_before_a_job_is_done() -> None:
    async def leave() -> Threads:
        threads = Threads(1, "tested")
        threads.start(lambda: go.wait(5))
        return threads

    go = threading.Event()
    threads = asyncio.run(leave())
    go.set()
    threads.close()
    assert names() == []


async def test_threads_that_are_forgotten_end() -> None:
    threads: Threads | None = Threads(2, "tested")
    assert len(names()) == 2
    threads = None
    gc.collect()
    assert (threads, names()) == (None, [])
