"""`GET /dashboard/feed`: how things stand, and then what changes, a few times a second, as server-sent events.

Of a viewer there are kept a number and the latest figures: what happens while one does not read is told as it stands
when one does. Whoever reads nothing for too long is cut off.
"""

import asyncio
from collections import Counter
from typing import Any

import msgspec

from dynasor.clock import Clock
from dynasor.gateway.dashboard.door import DashboardDoor, Viewer
from dynasor.gateway.dashboard.figures import Figures
from dynasor.gateway.dashboard.live import Live
from dynasor.gateway.draining import Draining
from dynasor.gateway.exchange import EVENTS, ClientLeft, Exchange
from dynasor.gateway.refusals import Refused

MOST_VIEWERS = 16
"""Of one tenant, or of all, at one time."""
EVERY_S = 0.25
_HEARTBEATS = 40  # looks without news, after which something is said, so that who has gone is found out
_RETRY_S = 5.0


class Feed:
    """The route."""

    def __init__(
        self, live: Live, figures: Figures, door: DashboardDoor, draining: Draining, clock: Clock,
        reading_s: float = 60.0, *, texts: bool = True,
    ) -> None:  # fmt: skip
        """Nobody looks yet.

        Args:
            live: what is known.
            figures: beside it.
            door: knows who looks.
            draining: ends all feeds at once.
            clock: of all instants.
            reading_s: that a viewer may leave an event unread.
            texts: whether prompts and answers are kept at all.
        """
        self._live, self._figures, self._door, self._draining = live, figures, door, draining
        self._clock, self._reading_s, self._texts = clock, reading_s, texts
        self.viewers: Counter[str | None] = Counter()

    async def __call__(self, exchange: Exchange) -> None:
        """Tell, until one of us leaves.

        Raises:
            Refused: who asks may not look, or too many do already.
        """
        viewer = self._door.viewer(exchange)
        self._draining.refuse()
        if self.viewers[viewer.tenant] >= MOST_VIEWERS:
            told = f"{MOST_VIEWERS} dashboards are open already; close one of them"
            raise Refused(429, told, "too_many_viewers", retry_after_s=_RETRY_S)
        self.viewers[viewer.tenant] += 1
        exchange.watch()
        try:
            await exchange.begin(200, EVENTS, streams=True)
            await self._follow(exchange, viewer)
        finally:
            self.viewers[viewer.tenant] -= 1
            self.viewers += Counter()  # without those at 0

    async def _follow(self, exchange: Exchange, viewer: Viewer) -> None:
        figures, silent = self._figures(viewer.tenant), 0
        more = {"viewer": {"tenant": viewer.tenant, "texts": self._texts and viewer.sees_texts}}
        told, version = self._event("snapshot", viewer, 0, figures, more), self._live.version
        await self._send(exchange, told)
        while not self._draining.begun:
            await self._clock.sleep(EVERY_S)
            before, figures = figures, self._figures(viewer.tenant)
            if self._has_news(version, viewer) or figures != before:
                told = self._event("change", viewer, version, figures, {})
                version, silent = self._live.version, 0
                await self._send(exchange, told)
            elif silent >= _HEARTBEATS:
                await self._send(exchange, b": still here\n\n")
                silent = 0
            silent += 1
        await exchange.end(b"event: closing\ndata: {}\n\n")

    def _has_news(self, version: int, viewer: Viewer) -> bool:
        return next(self._live.since(version, viewer.tenant), None) is not None

    def _event(self, name: str, viewer: Viewer, version: int, figures: dict[str, Any], more: dict[str, Any]) -> bytes:
        programs = [known.told() for known in self._live.since(version, viewer.tenant)]
        told = {"now": self._clock.now(), "figures": figures, "programs": programs[::-1], **more}
        return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(told) + b"\n\n"

    async def _send(self, exchange: Exchange, event: bytes) -> None:
        """Send, unless the viewer reads no more.

        Raises:
            ClientLeft: nothing was read for too long.
        """
        try:
            async with asyncio.timeout(self._reading_s):
                await exchange.send(event)
        except TimeoutError:
            exchange.abort()
            raise ClientLeft from None
