"""A chain of thought under probes: what its probes last told, and what it came to itself."""

from collections import deque

from dynasor.answers.grouping import Grouping
from dynasor.answers.voting import Ballot
from dynasor.certaindex.entropy import entropy_certaindex
from dynasor.request import RequestId


class Chain:
    """One chain; probes are told to it in the order in which they land.

    Attributes:
        id: the request that streams it.
        concluded: its own answer; None while it has none.
    """

    def __init__(self, id: RequestId, window: int) -> None:
        self.id = id
        self.concluded: str | None = None
        self._window: deque[str | None] = deque(maxlen=window)

    def told(self, answer: str | None) -> None:
        """Take in a probe's answer; None where it has none, or is not sure of it."""
        self._window.append(answer)

    def certaindex(self, grouping: Grouping) -> float:
        """How far the answers of the last probes agree; 0 before there are enough of them, and while one has none."""
        if self.concluded is not None:
            return 1.0
        if len(self._window) < (self._window.maxlen or 1) or None in self._window:
            return 0.0
        return entropy_certaindex(self._ballot(grouping)) if len(self._window) > 1 else 1.0

    def settled(self, grouping: Grouping) -> str | None:
        """Its own answer, or the one that all of its last probes tell; None while there is neither."""
        if self.concluded is not None:
            return self.concluded
        return self._window[-1] if self.certaindex(grouping) == 1.0 else None

    def leaning(self, grouping: Grouping) -> str | None:
        """Its own answer, else the latest that a probe told, else the one that most of the last ones tell; or None."""
        if self.concluded is not None:
            return self.concluded
        latest = self._window[-1] if self._window else None
        return self._ballot(grouping).majority if latest is None else latest

    def _ballot(self, grouping: Grouping) -> Ballot:
        ballot = Ballot(grouping)
        for place, answer in enumerate(self._window):
            ballot.cast(place, answer)
        return ballot
