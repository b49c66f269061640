"""Whose waiting request is next: fair between tenants by their shares, and within a tenant by its programs.

A pure core: it is told what happens, is handed `now` in seconds, and returns values. Requests are calls that are passed
on, and the branches of programs that answer calls here. Between tenants it is start-time fair queueing (Goyal, Vin and
Cheng 1996) over tokens, as in the virtual token counter of Sheng et al. (OSDI 2024): a tenant's virtual time grows by
the tokens that it is served over its share, the least is next, and who had nothing to wait for saves nothing up. What a
request will take is estimated when it starts, by its tenant's mean, and put right at its end. Within a tenant the
inter-program scheduler decides (paper 5.3.1).
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from dynasor.gateway.drain_rate import DrainRate
from dynasor.gateway.tenants import Tenant
from dynasor.request import ProgramId
from dynasor.scheduling.scheduler import Scheduler

_FIRST_MEAN = 256.0  # tokens of a request, before any was seen
_WEIGHT = 0.1  # of the latest request in the mean


@dataclass(slots=True, eq=False)
class Lane:
    """A tenant's requests.

    Attributes:
        virtual: its virtual time: tokens over share.
        waiting, running: how many requests do.
        mean_tokens: of a request.
        served_tokens: in all.
        of_account: all lanes of one account, this one too: its concurrency is that of them together.
    """

    tenant: Tenant
    scheduler: Scheduler
    of_account: "list[Lane]"
    virtual: float = 0.0
    waiting: int = 0
    running: int = 0
    mean_tokens: float = _FIRST_MEAN
    served_tokens: int = 0
    drained: DrainRate = field(default_factory=DrainRate)

    @property
    def has_room(self) -> bool:
        """Whether one more of its requests may run as far as it is concerned."""
        most = self.tenant.concurrency
        return most is None or sum([lane.running for lane in self.of_account]) < most


class Turns:
    """The waiting and the running requests of all tenants."""

    def __init__(self, most_running: int, scheduler: Callable[[], Scheduler]) -> None:
        """Nothing waits.

        Args:
            most_running: requests that run at one time.
            scheduler: makes the one of a tenant.
        """
        self._most, self._scheduler = most_running, scheduler
        self._lanes: dict[str, Lane] = {}
        self._accounts: dict[str, list[Lane]] = {}
        self._backlog: dict[str, Lane] = {}  # those of which something waits
        self._charged: dict[Hashable, tuple[Lane, float | None]] = {}  # what a request was charged when it started
        self._virtual = self._highest = 0.0
        self.running_count = 0

    def lane(self, tenant: Tenant) -> Lane:
        """A tenant's requests."""
        lane = self._lanes.get(tenant.name)
        if lane is None:
            of_account = self._accounts.setdefault(tenant.account, [])
            lane = self._lanes[tenant.name] = Lane(tenant, self._scheduler(), of_account)
            of_account.append(lane)
        return lane

    @property
    def lanes(self) -> list[Lane]:
        """Of all tenants that have asked."""
        return list(self._lanes.values())

    @property
    def waiting_count(self) -> int:
        """Requests that wait."""
        return len(self._charged) - self.running_count

    def add(self, id: Hashable, tenant: Tenant, program: ProgramId, now: float) -> None:
        """A request arrives and waits."""
        lane = self.lane(tenant)
        lane.scheduler.add(id, program, now)
        if not lane.waiting:
            self._join(lane)
        lane.waiting += 1
        self._charged[id] = (lane, None)

    def begin(self, id: Hashable, tenant: Tenant, program: ProgramId, now: float) -> bool:
        """A request arrives; returns whether it has started, as it does where none waits and it may; else it waits."""
        lane = self.lane(tenant)
        if self._backlog or self.running_count >= self._most or not lane.has_room:
            self.add(id, tenant, program, now)
            return False
        lane.scheduler.run(id, program, now)
        self._virtual = lane.virtual = self._highest  # as one that joins and is next
        self._start(id, lane, now)
        return True

    def next(self, now: float) -> Hashable | None:
        """Start the request that is next; None where none may start."""
        if not self._backlog or self.running_count >= self._most:
            return None
        lane = self._first()
        if lane is None:
            return None
        chosen = lane.scheduler.next(now)
        assert chosen is not None  # noqa: S101  (for the type checker: something waits)
        self._virtual = max(self._virtual, lane.virtual)
        self._no_longer_waits(lane)
        self._start(chosen.id, lane, now)
        return chosen.id

    def has_started(self, id: Hashable) -> bool:
        """Whether a request runs."""
        return self._charged[id][1] is not None

    def end(self, id: Hashable, tokens: int, now: float) -> None:
        """A request that ran has ended with so many tokens; with none, nothing came of it."""
        lane, charged = self._charged.pop(id)
        if charged is None:
            raise ValueError(f"request {id} has not started; withdraw it")
        if tokens:
            lane.scheduler.finish(id, tokens, now)
            lane.mean_tokens += _WEIGHT * (tokens - lane.mean_tokens)
        else:
            lane.scheduler.remove(id, now)
        self._charge(lane, tokens - charged)
        lane.served_tokens += tokens
        lane.running -= 1
        self.running_count -= 1

    def withdraw(self, id: Hashable, now: float) -> None:
        """A request that waits is wanted no more."""
        lane, _ = self._charged.pop(id)
        lane.scheduler.remove(id, now)
        self._no_longer_waits(lane)

    def _join(self, lane: Lane) -> None:
        """Something of a tenant waits that did not: from what it did not use before, it has nothing to draw on."""
        if not self._backlog:
            self._virtual = self._highest  # while nobody waited, nobody was in another's way: nobody owes anything
        lane.virtual = max(lane.virtual, self._virtual)
        self._backlog[lane.tenant.name] = lane

    def _start(self, id: Hashable, lane: Lane, now: float) -> None:
        self._charge(lane, lane.mean_tokens)
        self._charged[id] = (lane, lane.mean_tokens)
        lane.running += 1
        self.running_count += 1
        lane.drained.leave(now)

    def _charge(self, lane: Lane, tokens: float) -> None:
        lane.virtual += tokens / lane.tenant.share
        self._highest = max(self._highest, lane.virtual)

    def _first(self) -> Lane | None:
        first: Lane | None = None
        for lane in self._backlog.values():
            if lane.has_room and (first is None or lane.virtual < first.virtual):
                first = lane
        return first

    def _no_longer_waits(self, lane: Lane) -> None:
        lane.waiting -= 1
        if not lane.waiting:
            del self._backlog[lane.tenant.name]
