"""What waits, ranked: a heap of lanes, and in each lane a queue.

A lane is the requests of one program at one depth, by arrival. Only its oldest request has a place among the lanes, so
a program whose key changes is moved, not its requests. All but `arrived` and `of` cost O(log n) amortised.

Places that change by time alone do so in the order of their instants, a bounded number at a decision: so a step is not
slowed where thousands age at once, and under `Aging` the first is exact all the same, for those aged earlier go first.
"""

from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import inf

from dynasor.request import ProgramId
from dynasor.scheduling.movable_heap import MovableHeap
from dynasor.scheduling.ordering import Ordering, Place
from dynasor.scheduling.table import Row
from dynasor.scheduling.waiting import Waiting

_CHANGED = 4  # places that change by time alone at a decision; the others at the next ones


@dataclass(slots=True, eq=False)
class Lane:
    """Requests of one program and depth."""

    row: Row
    queue: list[int] = field(default_factory=list)  # ranks, a heap; those that wait no longer are skipped
    place: Place | None = None
    head: int = -1


class Lanes:
    """The waiting requests of all programs."""

    def __init__(self, ordering: Ordering) -> None:
        self._ordering = ordering
        self._waiting: dict[int, Waiting] = {}  # by rank
        self._lanes: dict[ProgramId, dict[int, Lane]] = {}
        self._places: MovableHeap[Lane] = MovableHeap()
        self._changes: MovableHeap[Lane] = MovableHeap()  # by the instants at which places change by time alone

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, request: Waiting) -> bool:
        return request.rank in self._waiting

    def arrived(self) -> list[Waiting]:
        """All that waits, by arrival."""
        return [self._waiting[rank] for rank in sorted(self._waiting)]

    def of(self, program: ProgramId) -> list[Waiting]:
        """What of one program waits, by arrival."""
        ranks = {rank for lane in self._lanes.get(program, {}).values() for rank in lane.queue}
        return [self._waiting[rank] for rank in sorted(ranks) if rank in self._waiting]

    def put(self, row: Row, request: Waiting) -> None:
        """Let a request wait; its program is still to be ranked."""
        self._waiting[request.rank] = request
        lanes = self._lanes.setdefault(row.id, {})
        if request.depth not in lanes:
            lanes[request.depth] = Lane(row)
        heappush(lanes[request.depth].queue, request.rank)

    def take(self, request: Waiting) -> None:
        """Let a request wait no longer; its program is still to be ranked."""
        del self._waiting[request.rank]

    def rank(self, program: ProgramId, now: float) -> None:
        """Give a program of which something has changed its place."""
        lanes = self._lanes.get(program)
        if lanes is None:
            return
        for depth, lane in list(lanes.items()):
            if not self._rank(lane, now):
                self._places.discard(lane)
                self._changes.discard(lane)
                del lanes[depth]
        if not lanes:
            del self._lanes[program]

    def first(self, now: float) -> Waiting | None:
        """The request with the least key; None where nothing waits."""
        self._pass_time(now)
        return self._waiting[self._places.first[1].head] if self._places else None

    def _rank(self, lane: Lane, now: float) -> bool:
        """Place a lane; returns whether anything waits in it."""
        queue = lane.queue
        while queue and queue[0] not in self._waiting:
            heappop(queue)
        if not queue:
            return False
        place = self._ordering.place(lane.row, self._waiting[queue[0]], now)
        if place != lane.place or queue[0] != lane.head:
            lane.place, lane.head = place, queue[0]
            self._places.put(lane, (place.key, lane.head))
            self._changes.discard(lane)
            if place.until < inf:
                self._changes.put(lane, (place.until, lane.head))
        return True

    def _pass_time(self, now: float) -> None:
        changed: list[Lane] = []
        while self._changes and self._changes.first[0][0] <= now and len(changed) < _CHANGED:
            changed.append(self._changes.first[1])
            self._changes.discard(changed[-1])
        for lane in changed:
            self._rank(lane, now)
