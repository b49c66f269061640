"""The dashboard in one piece: what it listens to, and its routes."""

from collections.abc import Mapping

import msgspec

from dynasor.clock import Clock
from dynasor.gateway.admission import Admission
from dynasor.gateway.app import Route
from dynasor.gateway.call import Call
from dynasor.gateway.dashboard.door import DashboardDoor
from dynasor.gateway.dashboard.drill_down import told_in_full
from dynasor.gateway.dashboard.feed import Feed
from dynasor.gateway.dashboard.figures import Figures
from dynasor.gateway.dashboard.live import Live
from dynasor.gateway.dashboard.pages import Pages
from dynasor.gateway.draining import Draining
from dynasor.gateway.exchange import JSON, Exchange
from dynasor.gateway.observation import Observation
from dynasor.gateway.reasoning import Reasoning
from dynasor.gateway.reasoning_wish import Wish
from dynasor.gateway.refusals import Refused
from dynasor.gateway.settings import GatewaySettings
from dynasor.runtime.contained import ContainedSession

PROGRAMS = "/dashboard/programs/"


class Dashboard:
    """Follows the programs of a gateway.

    Attributes:
        live: what is known of them.
        feed: tells of them.
    """

    def __init__(
        self, settings: GatewaySettings, door: DashboardDoor, admission: Admission, draining: Draining, clock: Clock
    ) -> None:
        self._door, self._clock, texts = door, clock, settings.dashboard.texts
        self.live = Live(texts=texts)
        figures = Figures(self.live, admission)
        self.feed = Feed(self.live, figures, door, draining, clock, settings.timeouts.idle_s, texts=texts)
        self._pages = Pages(door)

    def follow(self, reasoning: Reasoning, observation: Observation) -> None:
        """Listen to what happens from now on."""
        live, clock = self.live, self._clock

        def begins(call: Call, wish: Wish, session: ContainedSession, deadline: float | None) -> None:
            live.begin(call, wish, session, deadline, clock.now())

        reasoning.listeners.append(begins)
        reasoning.hosts.listeners.append(lambda event: live.take(event, clock.now()))
        observation.listeners.append(lambda seen: live.ended(seen, seen.ended_at))

    def routes(self) -> Mapping[tuple[str, str], Route]:
        """The page, its feed, and one program."""
        return {
            ("GET", "/dashboard"): self._pages.index,
            ("GET", "/dashboard/feed"): self.feed,
            ("GET", PROGRAMS): self.program,
            ("GET", "/dashboard/"): self._pages.file,
        }

    async def program(self, exchange: Exchange) -> None:
        """`GET /dashboard/programs/ID`.

        Raises:
            Refused: 404, also for a program of another tenant.
        """
        viewer = self._door.viewer(exchange)
        known = self.live.find(exchange.path.removeprefix(PROGRAMS))
        if known is None or viewer.tenant not in (None, known.origin.tenant):
            raise Refused(404, "there is no such program, or it ended too long ago", "program_not_found")
        told = told_in_full(known, texts=viewer.sees_texts)
        headers = [JSON, (b"cache-control", b"no-store")]
        await exchange.answer(200, msgspec.json.encode(told | {"now": self._clock.now()}), headers)
