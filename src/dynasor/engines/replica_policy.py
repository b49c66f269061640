"""How several replicas of one model are treated: when one counts as down, how much is sent again, how load is spread.

Settings only: nothing here sends, waits or reads a clock.
"""

from dataclasses import dataclass

from dynasor.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaPolicy:
    """How faults of replicas are met.

    Attributes:
        failures: so many failures in a row, of requests or of health checks, open a replica's circuit breaker; and so
            many health checks in a row take its requests away from it.
        open_s: before an open breaker lets a health check decide whether one request may try the replica.
        check_every_s: between two health checks of a replica, while there are requests.
        check_limit_s: a health check that takes longer has failed.
        patience_s: requests wait so long for a replica when none is left; then they fail, and may be resumed.
        reissues: the most times that one request is issued again.
        budget_share: requests issued again that may be in flight, as a share of all in flight.
        budget_floor: so many may be in any case. Those over the budget wait; they are not dropped.
        load_bound: a replica with more than this times its even share of the requests in flight is overloaded, and
            takes no requests of its own programs while another one has room.
        free_requests: a replica with no more than these in flight is never overloaded.
    """

    failures: int = 3
    open_s: float = 5.0
    check_every_s: float = 2.0
    check_limit_s: float = 5.0
    patience_s: float = 60.0
    reissues: int = 3
    budget_share: float = 0.25
    budget_floor: int = 16
    load_bound: float = 1.25
    free_requests: int = 16

    def __post_init__(self) -> None:
        if min(self.failures, self.check_every_s, self.check_limit_s, self.budget_floor) <= 0:
            raise UsageError(f"failures, the times of health checks and the budget's floor must be more than 0: {self}")
        if min(self.open_s, self.patience_s, self.reissues, self.budget_share, self.free_requests) < 0:
            raise UsageError(f"a policy for replicas holds no negative number: {self}")
        if self.load_bound < 1:
            raise UsageError(f"load_bound is {self.load_bound}; it must be 1 or more, or nobody could take anything")

    def may_reissue(self, reissued: int, in_flight: int) -> bool:
        """Whether one more request may be issued again, while so many of those in flight are such requests.

        A share of what is in flight, as Envoy's retry budget is: what is sent again grows with what still works, and
        shrinks to the floor in an outage.
        """
        return reissued < max(self.budget_floor, self.budget_share * in_flight)
