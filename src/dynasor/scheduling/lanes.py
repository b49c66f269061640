"""What waits, ranked: a heap of lanes, and in each lane a queue.

A lane is the requests of one program at one depth, by arrival. Only its oldest request has a place among the lanes, so
a program whose key changes is moved, not its requests. All but `arrived` and `of` cost O(log n) amortised. A program is
ranked at the next decision, once for all that has happened to it since the last; at once where very many are to be.

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

_TOUCHED = 64  # programs that are left to be ranked at the next decision
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
        self._is_fixed = getattr(ordering, "is_fixed", False)
        self._waiting: dict[int, Waiting] = {}  # by rank
        self._lanes: dict[ProgramId, dict[int, Lane]] = {}
        self._touched: set[ProgramId] = set()  # programs to be ranked at the next decision
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

    def put(self, row: Row, request: Waiting, now: float) -> None:
        """Let a request wait."""
        self._waiting[request.rank] = request
        lanes = self._lanes.setdefault(row.id, {})
        lane = lanes.get(request.depth)
        if lane is None:
            lane = lanes[request.depth] = Lane(row)
        lane.row = row  # a program that had ended may have come again, before its lane was settled
        queue = lane.queue
        while queue and queue[0] not in self._waiting:
            heappop(queue)
        heappush(queue, request.rank)
        self._touched.add(row.id)
        if len(self._touched) > _TOUCHED:
            self.settle(now)

    def take(self, request: Waiting) -> None:
        """Let a request wait no longer."""
        del self._waiting[request.rank]
        self._touched.add(request.program)

    def touch(self, program: ProgramId) -> None:
        """Something of a program has changed that orderings may look at."""
        if not self._is_fixed and program in self._lanes:
            self._touched.add(program)

    def settle(self, now: float) -> None:
        """Give every program that was touched its place."""
        while self._touched:
            self._rank_program(self._touched.pop(), now)

    def first(self, now: float) -> Waiting | None:
        """The request with the least key; None where nothing waits. One that waits alone is not ranked for that."""
        if len(self._waiting) == 1:
            return next(iter(self._waiting.values()))
        self.settle(now)
        self._pass_time(now)
        return self._waiting[self._places.first[1].head] if self._places else None

    def _rank_program(self, program: ProgramId, now: float) -> None:
        lanes = self._lanes[program]
        for depth in [depth for depth, lane in lanes.items() if not self._rank(lane, now)]:
            lane = lanes.pop(depth)
            self._places.discard(lane)
            self._changes.discard(lane)
        if not lanes:
            del self._lanes[program]

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
            if place.until < inf:
                self._changes.put(lane, (place.until, lane.head))
            else:
                self._changes.discard(lane)
        return True

    def _pass_time(self, now: float) -> None:
        changed: list[Lane] = []
        while self._changes and self._changes.first[0][0] <= now and len(changed) < _CHANGED:
            changed.append(self._changes.first[1])
            self._changes.discard(changed[-1])
        for lane in changed:
            self._rank(lane, now)
