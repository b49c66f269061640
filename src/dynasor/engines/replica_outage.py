"""Whether all replicas have been down for too long. It knows nothing of them but what their breakers let through."""

from collections.abc import Collection

from dynasor.engines.replica_breaker import BreakerState


class Outage:
    """Begins when the last breaker opens, and ends when one has closed, which takes an answer.

    A health check that passes does not end it: replicas that are healthy and answer nothing could make everybody wait
    for ever. `now` is of a monotonic clock, in seconds.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._began: float | None = None

    def note(self, states: Collection[BreakerState], now: float) -> None:
        """Take in how the breakers are."""
        if BreakerState.CLOSED in states:
            self._began = None
        elif self._began is None:
            self._began = now

    def is_hopeless(self, states: Collection[BreakerState], now: float) -> bool:
        """Whether nobody should wait any more: too long ago, and nothing is being tried."""
        self.note(states, now)
        if self._began is None or BreakerState.HALF_OPEN in states:
            return False
        return now - self._began >= self._patience_s
