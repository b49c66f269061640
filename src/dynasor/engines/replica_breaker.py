"""A circuit breaker: whether a replica is asked at all. It knows no replica, and is told the time."""

from enum import StrEnum

from dynasor.engines.replica_policy import ReplicaPolicy


class BreakerState(StrEnum):
    """What a breaker lets through."""

    CLOSED = "closed"  # everything
    OPEN = "open"  # nothing
    HALF_OPEN = "half-open"  # one request, whose end decides


class Breaker:
    """Opens after so many failures in a row; a health check after a pause lets one request try.

    `now` is of a monotonic clock, in seconds.
    """

    def __init__(self, policy: ReplicaPolicy) -> None:
        self._policy = policy
        self.failure_count = 0
        """Failures in a row."""
        self._failed_check_count = 0
        self._opened_at = 0.0
        self._trying = False
        self.state = BreakerState.CLOSED
        self.passed_check_count = 0
        """Health checks passed: what has failed here waits for the next one before it comes back."""

    @property
    def admits(self) -> bool:
        """Whether a request may be sent."""
        return self.state is BreakerState.CLOSED or (self.state is BreakerState.HALF_OPEN and not self._trying)

    def begin(self) -> None:
        """A request is sent."""
        self._trying = self.state is BreakerState.HALF_OPEN

    def abstain(self) -> None:
        """A request has ended in a way that tells nothing: it was cut, or refused for what it is."""
        self._trying = False

    def succeed(self) -> None:
        """A request has been answered."""
        self.failure_count = self._failed_check_count = 0
        self._trying = False
        self.state = BreakerState.CLOSED

    def fail(self, now: float) -> None:
        """A request has failed by a fault of the replica."""
        self._trying = False
        self.failure_count += 1
        if self.state is BreakerState.HALF_OPEN or self.failure_count >= self._policy.failures:
            self._open(now)

    def pass_check(self, now: float) -> None:
        """A health check was answered. It does not close the breaker: a server may be healthy and fail requests."""
        self._failed_check_count = 0
        self.passed_check_count += 1
        if self.state is BreakerState.OPEN and now - self._opened_at >= self._policy.open_s:
            self.state = BreakerState.HALF_OPEN
            self._trying = False

    def fail_check(self, now: float) -> bool:
        """A health check has failed; returns whether the replica is to be taken for dead by now."""
        self._failed_check_count += 1
        self.fail(now)
        return self._failed_check_count >= self._policy.failures

    def _open(self, now: float) -> None:
        if self.state is not BreakerState.OPEN:
            self._opened_at = now
        self.state = BreakerState.OPEN
