"""Which waiting request is next: the seam to the inter-program scheduler, and first come, first served."""

from collections.abc import Callable, Collection
from heapq import heappop, heappush
from typing import Protocol

from dynasor.request import RequestId
from dynasor.simulation.requests import SimulatedRequest


class Order(Protocol):
    """Knows what is here. Which is next is asked anew when memory or a place came free or something new waits.

    Each method should take O(log n) in what is here.
    """

    def add(self, request: SimulatedRequest, now_s: float) -> None:
        """A request comes, and waits."""
        ...

    def next(self, now_s: float) -> RequestId | None:
        """The one to admit next, which may yet lack the memory and then waits on; None where none is to be admitted."""
        ...

    def start(self, id: RequestId, now_s: float) -> None:
        """One that waits is admitted."""
        ...

    def put_back(self, id: RequestId, now_s: float) -> None:
        """One that was admitted has lost its memory, and waits again."""
        ...

    def finish(self, id: RequestId, tokens: int, now_s: float) -> None:
        """One that was admitted has ended, with so many generated tokens."""
        ...

    def remove(self, id: RequestId, now_s: float) -> None:
        """One was cut, waiting or admitted."""
        ...


Victim = Callable[[Collection[SimulatedRequest], float], SimulatedRequest]
"""(those that hold memory, in the order of their admission; now, in seconds) -> the one that is to give it up."""


class FirstCome:
    """In the order of submission; who lost its memory comes back to its old place."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, RequestId]] = []  # those that wait, and some that no longer do
        self._waiting: dict[RequestId, int] = {}
        self._admitted: dict[RequestId, int] = {}
        self._count = 0

    def add(self, request: SimulatedRequest, now_s: float) -> None:
        """It is the last."""
        self._count += 1
        self._wait(request.id, self._count)

    def next(self, now_s: float) -> RequestId | None:
        """The first."""
        while self._heap:
            rank, id = self._heap[0]
            if self._waiting.get(id) == rank:
                return id
            heappop(self._heap)
        return None

    def start(self, id: RequestId, now_s: float) -> None:
        """Remember its place."""
        self._admitted[id] = self._waiting.pop(id)

    def put_back(self, id: RequestId, now_s: float) -> None:
        """It waits where it stood."""
        self._wait(id, self._admitted.pop(id))

    def finish(self, id: RequestId, tokens: int, now_s: float) -> None:
        """Forget it."""
        del self._admitted[id]

    def remove(self, id: RequestId, now_s: float) -> None:
        """Forget it."""
        self._waiting.pop(id, None)
        self._admitted.pop(id, None)

    def _wait(self, id: RequestId, rank: int) -> None:
        self._waiting[id] = rank
        heappush(self._heap, (rank, id))


def latest(running: Collection[SimulatedRequest], now_s: float) -> SimulatedRequest:
    """The victim that was admitted last, which has the least to lose under first come, first served."""
    return list(running)[-1]
