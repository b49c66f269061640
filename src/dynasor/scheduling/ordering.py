"""What an ordering is: the sort key of a waiting request. Orderings compose by wrapping.

    Aging(Gang(Sjf()), patience=5.0)

The least key is next, and among equal keys the request that arrived first: so every order is total. An ordering
remembers nothing; where a key depends on time, it tells until when it holds, and nothing is ranked anew before. One
whose keys depend on nothing that changes may say so with a class attribute `is_fixed`, and is then not asked again.
"""

from collections.abc import Iterable
from math import inf
from typing import NamedTuple, Protocol, runtime_checkable

from dynasor.scheduling.table import Row
from dynasor.scheduling.waiting import Waiting

Key = tuple[float, ...]


class Place(NamedTuple):
    """A sort key, and the instant from which on it no longer holds though nothing else has changed."""

    key: Key
    until: float = inf


class Ordering(Protocol):
    """Ranks requests."""

    def place(self, program: Row, request: Waiting, now: float) -> Place:
        """The place of a request of a program; of those of one depth, only the oldest is asked for."""
        ...


@runtime_checkable
class Arranging(Ordering, Protocol):
    """An ordering that looks at all waiting requests at once where they are few, and ranks by `place` beyond."""

    @property
    def most(self) -> int:
        """How many are few."""
        ...

    def arrange(self, requests: Iterable[Waiting]) -> list[Waiting]:
        """Put requests, given by arrival, into their order."""
        ...
