"""What an engine has to hand over: requests that have ended, and reports of those that run.

Used within one event loop. Knows nothing of what answers.
"""

import asyncio
from collections.abc import Sequence

from dynasor.request import Completion, Report


class Outbox:
    """Collects until somebody takes."""

    def __init__(self) -> None:
        self._ended: list[Completion] = []
        self._reports: list[Report] = []
        self._unheard = False  # whether there are reports that woke nobody yet; a host that takes none is woken once
        self._news = asyncio.Event()
        self._closed = False

    def put(self, completion: Completion) -> None:
        """Lay in a request that has ended."""
        self._ended.append(completion)
        self._news.set()

    def report(self, report: Report) -> None:
        """Lay in a report."""
        self._reports.append(report)
        self._unheard = True
        self._news.set()

    async def ready(self) -> Sequence[Completion]:
        """Wait until there is anything new; take all completions. After `close`, take what is left without waiting."""
        while not (self._ended or self._unheard or self._closed):
            self._news.clear()
            await self._news.wait()
        self._unheard = False
        ended, self._ended = self._ended, []
        return ended

    def take_reports(self) -> list[Report]:
        """Take all reports, in the order in which they came."""
        self._unheard = False
        reports, self._reports = self._reports, []
        return reports

    def close(self) -> None:
        """Let nobody wait any more."""
        self._closed = True
        self._news.set()
