"""A server that has so many slots and takes as long as it is told, in virtual time."""

from collections.abc import Hashable, Mapping
from heapq import heappop, heappush

from dynasor.request import ProgramId
from dynasor.scheduling.scheduler import Scheduler


def serve(scheduler: Scheduler, durations: Mapping[Hashable, float], slots: int) -> dict[ProgramId, float]:
    """Serve all that waits; returns when the last request of each program ended."""
    ended: dict[ProgramId, float] = {}
    running: list[tuple[float, int, Hashable]] = []
    now = 0.0
    while running or scheduler.waiting_count:
        while len(running) < slots and (request := scheduler.next(now)) is not None:
            heappush(running, (now + durations[request.id], request.rank, request.id))
            ended[request.program] = max(ended.get(request.program, 0.0), now + durations[request.id])
        now, _, id = heappop(running)
        scheduler.finish(id, 1, now)
    return ended
