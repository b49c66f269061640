"""Commits what came of items: what ends while one commit is under way is in the next. Nothing is given up.

One commit for many is what makes a store that writes to the disk each time fast enough; and where several gateways
write, all do so in one order.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from dynasor.clock import Clock
from dynasor.errors import EngineError
from dynasor.gateway.batches import item_rows
from dynasor.gateway.batches.records import Result
from dynasor.gateway.batches.store import Store

_MOST = 256  # of one commit
_AGAIN_S = 1.0


class Finishing:
    """Used within one event loop."""

    def __init__(self, store: Store, clock: Clock, epoch: Callable[[], int], ending: Callable[[], None]) -> None:
        """Nothing has ended yet.

        Args:
            store: holds everything.
            clock: of waits for a store that fails.
            epoch: seconds of the epoch.
            ending: is called when the last item of a batch has ended.
        """
        self._store, self._clock, self._epoch, self._ending = store, clock, epoch, ending
        self._waiting: list[tuple[Result, asyncio.Future[None]]] = []
        self._work: asyncio.Task[None] | None = None

    async def finish(self, result: Result) -> None:
        """Return once it is committed; where the store does not take it, that may be long."""
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((result, committed))
        if self._work is None:
            self._work = asyncio.get_running_loop().create_task(self._commit())
        await committed

    async def close(self) -> None:
        """Give up on what the store does not take."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])

    async def _commit(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
                try:
                    await self._write([result for result, _ in group])
                finally:
                    for _, committed in group:
                        if not committed.done():
                            committed.set_result(None)
        finally:
            self._work = None

    async def _write(self, results: list[Result]) -> None:
        while True:
            try:
                is_last = await self._store.write(partial(item_rows.finish, results=results, now=self._epoch()))
            except EngineError:
                await self._clock.sleep(_AGAIN_S)
            else:
                if is_last:
                    self._ending()
                return
