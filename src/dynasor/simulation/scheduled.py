"""The inter-program scheduler inside an accelerator: who is admitted, who is preempted, whose blocks go (paper 5.3).

The same scheduler that orders what waits elsewhere is told here what the accelerator does. It holds no policy.
"""

from collections import OrderedDict
from collections.abc import Collection
from typing import cast

from dynasor.request import ProgramId, RequestId
from dynasor.scheduling.ordering import Arranging, Ordering
from dynasor.scheduling.scheduler import Scheduler
from dynasor.scheduling.waiting import Waiting
from dynasor.simulation.requests import SimulatedRequest

OPENING_TOKENS = 32
"""A prompt that is shorter has no opening that others could share."""


class ProgramEviction:
    """Prefixes of programs without requests go first, those of programs whose requests wait last (paper 5.3.2).

    Among equals the prefix that was let go of the longest ago goes first. A prefix is named for its program.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._table = scheduler.table
        self._over: OrderedDict[str, None] = OrderedDict()
        self._wanted: OrderedDict[str, None] = OrderedDict()

    def add(self, prefix: str) -> None:
        """It is the most recent of its kind."""
        (self._wanted if self._is_wanted(prefix) else self._over)[prefix] = None

    def remove(self, prefix: str) -> None:
        """Forget it."""
        if prefix in self._over:
            del self._over[prefix]
        else:
            del self._wanted[prefix]

    def next(self) -> str:
        """The least recent that nobody wants, before all that are wanted."""
        return next(iter(self._over or self._wanted))

    def look(self, prefix: str) -> None:
        """Requests of a program have come or gone: what is kept of it may be wanted now, or no longer."""
        if prefix in self._over:
            if self._is_wanted(prefix):
                del self._over[prefix]
                self._wanted[prefix] = None
        elif prefix in self._wanted and not self._is_wanted(prefix):
            del self._wanted[prefix]
            self._over[prefix] = None

    def _is_wanted(self, prefix: str) -> bool:
        row = self._table.get(ProgramId(prefix))
        return row is not None and row.is_active


class ScheduledOrder:
    """What waits at an accelerator, in the scheduler's order."""

    def __init__(self, scheduler: Scheduler, ordering: Ordering, eviction: ProgramEviction | None = None) -> None:
        self._scheduler = scheduler
        self._eviction = eviction
        self._most_arranged = ordering.most if isinstance(ordering, Arranging) else 0
        self._pass: list[Waiting] | None = None  # what is left of a pass over all that waits, the next one last
        self._pass_at = 0.0

    def add(self, request: SimulatedRequest, now_s: float) -> None:
        """It waits, with the others of its program."""
        add_to(self._scheduler, request, now_s)
        self._changed(request.id)

    def next(self, now_s: float) -> RequestId | None:
        """The first; an ordering that looks at all that waits does so once an instant."""
        scheduler = self._scheduler
        if not 0 < scheduler.waiting_count <= self._most_arranged:
            order = scheduler.order(now_s, 1)
            return _id(order[0]) if order else None
        if self._pass is None or self._pass_at != now_s:
            self._pass, self._pass_at = scheduler.order(now_s, scheduler.waiting_count)[::-1], now_s
        return _id(self._pass[-1])

    def start(self, id: RequestId, now_s: float) -> None:
        """It runs."""
        self._scheduler.start(id, now_s)
        if self._pass:
            self._pass.pop()

    def put_back(self, id: RequestId, now_s: float) -> None:
        """It waits where it stood."""
        self._scheduler.put_back(id, now_s)
        self._changed(id)

    def finish(self, id: RequestId, tokens: int, now_s: float) -> None:
        """The scheduler learns how long it was."""
        self._scheduler.finish(id, tokens, now_s)
        self._changed(id)

    def remove(self, id: RequestId, now_s: float) -> None:
        """Forget it."""
        self._scheduler.remove(id, now_s)
        self._changed(id)

    def last(self, running: Collection[SimulatedRequest], now_s: float) -> SimulatedRequest:
        """The victim: of those that run the last in the scheduler's order."""
        return max(running, key=lambda request: self._scheduler.key(request.id, now_s))

    def _changed(self, id: RequestId) -> None:
        self._pass = None
        if self._eviction is not None:
            self._eviction.look(id.program)


def add_to(scheduler: Scheduler, request: SimulatedRequest, now_s: float) -> None:
    """Let a request wait at a scheduler."""
    opening = request.prefix if request.prefix_tokens >= OPENING_TOKENS else None
    scheduler.add(request.id, request.id.program, now_s, depth=request.depth, opening=opening)


def _id(waiting: Waiting) -> RequestId:
    return cast(RequestId, waiting.id)
