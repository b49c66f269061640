"""A gateway in a thread of its own, for clients that block."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Thread

from dynasor.launch.serving import Serving
from support.gateways import GatewayHere, listening


@contextmanager
def in_thread(serving: Serving) -> Iterator[GatewayHere]:
    """Serve until the end of the context."""
    up: Future[tuple[GatewayHere, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        over = asyncio.Event()
        async with listening(serving) as here:
            up.set_result((here, asyncio.get_running_loop(), over))
            await over.wait()

    thread = Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    here, loop, over = up.result(30)
    try:
        yield here
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        if serving.model is not None:
            serving.model.free()
