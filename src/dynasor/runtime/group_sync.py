"""Group commit: the disk is forced in the background, one force at a time, for whatever was flushed meanwhile."""

import asyncio

from dynasor.journal.journal import JournalWriter


class GroupSync:
    """Keeps a journal durable without holding up the loop."""

    def __init__(self, journal: JournalWriter) -> None:
        self._journal = journal
        self._task: asyncio.Task[None] | None = None

    def kick(self) -> None:
        """Make what was flushed durable soon; raises what the last force raised."""
        if self._task is not None:
            if not self._task.done():
                return
            self._task.result()
        self._task = asyncio.create_task(asyncio.to_thread(self._journal.sync))

    async def finish(self) -> None:
        """Wait for the force that is under way; raises what it raised."""
        if self._task is not None:
            await asyncio.wait([self._task])
            self._task.result()
