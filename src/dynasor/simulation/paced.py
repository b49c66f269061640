"""What allocation under deadlines is told in virtual time: the instant and the pace, as the dispatcher tells it live.

It decides nothing; `allocation.overload` does.
"""

from dynasor.allocation.overload import Overload
from dynasor.scheduling.pace import Pace
from dynasor.simulation.requests import Served

_WEIGHT = 0.05
"""Of one request, in the mean speed of requests."""


class Paced:
    """Keeps an overload informed; without one, it does nothing."""

    def __init__(self, overload: Overload | None) -> None:
        self.overload = overload
        self._pace = Pace()
        self._request_tokens_per_s: float | None = None

    def now(self, now_s: float) -> None:
        """A program is about to ask."""
        if self.overload is not None:
            self.overload.now = now_s

    def served(self, served: Served) -> None:
        """A request has ended."""
        if self.overload is None:
            return
        self._pace.served(served.tokens, 1, served.ended_at)
        if served.admitted_at is not None and served.ended_at > served.admitted_at and served.tokens:
            speed = served.tokens / (served.ended_at - served.admitted_at)
            before = self._request_tokens_per_s or speed
            self._request_tokens_per_s = before + _WEIGHT * (speed - before)
        self.overload.pace(self._pace.tokens_per_s, self._request_tokens_per_s)
