"""Virtual time, and what is to happen in it. Knows no requests and no accelerators.

Instants are whole picoseconds: sums of them are exact, so that many steps taken at once end when the same steps taken
one by one do, and the same seed gives the same bytes.
"""

from collections.abc import Callable
from heapq import heappop, heappush

SECOND = 10**12
"""Picoseconds."""


def seconds(picoseconds: int) -> float:
    """Picoseconds in seconds."""
    return picoseconds / SECOND


def picoseconds(duration_s: float) -> int:
    """Seconds in whole picoseconds."""
    return round(duration_s * SECOND)


class Event:
    """An action at an instant, until it has happened or is dropped."""

    __slots__ = ("action", "instant")

    def __init__(self, instant: int, action: Callable[[], object]) -> None:
        self.instant = instant
        self.action: Callable[[], object] | None = action

    def drop(self) -> None:
        """It is not to happen."""
        self.action = None


class Kernel:
    """Makes events happen in the order of their instants; those of one instant in the order in which they were made.

    Save those that are to be the last of their instant: they find all that the instant brings.

    Attributes:
        now: the present instant, in picoseconds from the start.
    """

    def __init__(self) -> None:
        self.now = 0
        self._count = 0
        self._events: list[tuple[int, int, int, Event]] = []

    @property
    def now_s(self) -> float:
        """The present instant in seconds."""
        return self.now / SECOND

    def at(self, instant: int, action: Callable[[], object]) -> Event:
        """Let something happen at an instant; at once, where the instant is past."""
        event = Event(max(instant, self.now), action)
        self._count += 1
        heappush(self._events, (event.instant, 0, self._count, event))
        return event

    def last(self, action: Callable[[], object]) -> None:
        """Let something happen at the present instant, when all else has happened that is to happen at it."""
        self._count += 1
        heappush(self._events, (self.now, 1, self._count, Event(self.now, action)))

    def run(self, until: int | None = None) -> None:
        """Let everything happen that is to happen, or what is to happen up to an instant."""
        events = self._events
        while events and (until is None or events[0][0] <= until):
            instant, _, _, event = heappop(events)
            if event.action is not None:
                self.now = instant
                event.action()
        if until is not None:
            self.now = max(self.now, until)
