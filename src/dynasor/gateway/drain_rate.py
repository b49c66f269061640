"""How fast a queue empties, as it was seen to: what an honest Retry-After is made of. It is handed `now`."""

from collections import deque

_REMEMBERED = 64
_UNKNOWN_S = 1.0
_SHORTEST_S = 0.05
_LONGEST_S = 600.0


class DrainRate:
    """Instants at which requests left a queue. One that has stalled is slower the longer it has."""

    def __init__(self) -> None:
        self._left: deque[float] = deque(maxlen=_REMEMBERED)

    def leave(self, now: float) -> None:
        """One left."""
        self._left.append(now)

    def wait_s(self, before: int, now: float) -> float:
        """How long it takes until so many have left; a second where nothing was seen yet."""
        if not self._left:
            return _UNKNOWN_S
        per_s = len(self._left) / max(now - self._left[0], 1e-3)
        return min(max(before / per_s, _SHORTEST_S), _LONGEST_S)
