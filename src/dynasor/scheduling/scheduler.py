"""Which of all waiting requests is next: a pure core (paper 5.3.1).

It is told what happens and returns values; it is handed `now` in seconds, which never goes back, holds no lock and
knows no engine. A host asks `next` where it starts one request at a time; where it starts as many as fit, it asks
`order`, and tells by `start` which ones it took.
"""

from collections.abc import Hashable

from dynasor.errors import ProgramError
from dynasor.request import ProgramId
from dynasor.scheduling.estimate import Kind
from dynasor.scheduling.lanes import Lanes
from dynasor.scheduling.ordering import Arranging, Key, Ordering
from dynasor.scheduling.table import ProgramTable, Row
from dynasor.scheduling.waiting import Waiting

_REFRESHED = 4  # programs ranked anew at a decision because the history of their kind has moved


class Scheduler:
    """The waiting and the running requests of all programs of one engine.

    Attributes:
        table: what is known of the programs.
    """

    def __init__(self, ordering: Ordering, table: ProgramTable | None = None) -> None:
        self.table = ProgramTable() if table is None else table
        self._ordering = ordering
        self._arranging = ordering if isinstance(ordering, Arranging) else None
        self._is_fixed = getattr(ordering, "is_fixed", False)
        self._lanes = Lanes(ordering)
        self._requests: dict[Hashable, Waiting] = {}  # waiting and running
        self._generated: dict[Hashable, int] = {}  # tokens that these have generated, where any were reported
        self._arrivals = 0

    @property
    def arranges(self) -> bool:
        """Whether the ordering looks at all that wait at once; it is better asked for many at a time then."""
        return self._arranging is not None

    @property
    def waiting_count(self) -> int:
        """Requests that wait."""
        return len(self._lanes)

    @property
    def running_count(self) -> int:
        """Requests that were started and have not ended."""
        return len(self._requests) - len(self._lanes)

    def begin(
        self,
        program: ProgramId,
        now: float,
        *,
        kind: Kind = Kind(),  # noqa: B008  (frozen)
        remaining_knob: float | None = None,
        knob: int | None = None,
        deadline: float | None = None,
    ) -> None:
        """A program starts. One that is never begun starts with its first request and ends with its last."""
        row = self.table.seen(program, kind)
        row.is_open = True
        row.remaining_knob, row.deadline = remaining_knob, deadline
        if knob is not None:
            self.table.turned(row, knob)
        self._lanes.touch(program)

    def progress(
        self,
        program: ProgramId,
        now: float,
        *,
        remaining_knob: float,
        knob: int | None = None,
        granted: int | None = None,
    ) -> None:
        """A program has come further.

        Args:
            program: which.
            now: the instant.
            remaining_knob: what it is expected to turn yet by its own account; how far others of its kind have turned
                theirs from where it stands goes first.
            knob: what it has turned; None if it does not tell.
            granted: how much of what remains it was granted; None if it does not tell.

        Raises:
            ProgramError: if the program is not known.
        """
        if program not in self.table:
            raise ProgramError(f"program {program} is not running; begin it, or report its progress before its end")
        row = self.table[program]
        row.remaining_knob = remaining_knob
        if knob is not None:
            self.table.turned(row, knob)
            if granted is not None:
                self.table.granted(row, knob + granted)
        self._lanes.touch(program)

    def tell(self, program: ProgramId, tokens: float, now: float) -> None:
        """The client of a program estimates what it needs yet; from now on this goes before other estimates.

        Args:
            program: which.
            tokens: those of all its requests that are to end from now on.
            now: the instant.

        Raises:
            ProgramError: if the program is not known.
        """
        if program not in self.table:
            raise ProgramError(f"program {program} is not running; begin it, or tell before its end")
        self.table.tell(self.table[program], tokens)
        self._lanes.touch(program)

    def answered(self, program: ProgramId) -> None:
        """A program has come to its answer, and is to be ended: others of its kind are expected to go as far."""
        if program in self.table:
            self.table.answered(self.table[program])

    def end(self, program: ProgramId, now: float) -> tuple[Waiting, ...]:
        """A program ends; returns its requests that waited, which are removed. What of it runs is still to end."""
        if program not in self.table:
            return ()
        row = self.table[program]
        unstarted = tuple(self._lanes.of(program))
        for request in unstarted:
            self._take(row, request)
            self._forget(row, request)
        row.is_open = False
        self.table.drop_if_done(row)
        return unstarted

    def add(self, id: Hashable, program: ProgramId, now: float, *, depth: int = 0, opening: Hashable = None) -> Waiting:
        """A request arrives and waits.

        Raises:
            ProgramError: if a request of that id waits or runs.
        """
        row, request = self._arriving(id, program, now, depth, opening)
        self._lanes.put(row, request, now)
        return request

    def run(self, id: Hashable, program: ProgramId, now: float) -> Waiting:
        """A request arrives and is started at once, ahead of whatever waits: what `add` and `start` do, for less.

        Raises:
            ProgramError: if a request of that id waits or runs.
        """
        row, request = self._arriving(id, program, now, 0, None)
        row.waiting -= 1
        row.in_flight += 1
        self.table.start(row)
        return request

    def next(self, now: float) -> Waiting | None:
        """Start the request that is next, if any waits."""
        if self._arranging is not None:
            order = self.order(now, 1)
            return self.start(order[0].id, now) if order else None
        self._refresh()
        request = self._lanes.first(now)
        if request is not None:
            self._start(request)
        return request

    def order(self, now: float, most: int) -> list[Waiting]:
        """The requests that are next, so many at most, as if each was started before the one after it is chosen."""
        self._refresh()
        if self._arranging is not None and len(self._lanes) <= self._arranging.most:
            self._lanes.settle(now)
            return self._arranging.arrange(self._lanes.arrived())[:most]
        ordered: list[Waiting] = []
        started: list[Row] = []
        while len(ordered) < most and (request := self._lanes.first(now)) is not None:
            ordered.append(request)
            if len(ordered) < most:
                started += self._start(request)
        for row in reversed(started):
            self.table.unstart(row)
        for request in ordered[: most - 1]:
            self._wait(request, now)
        return ordered

    def start(self, id: Hashable, now: float) -> Waiting:
        """Start a waiting request.

        Raises:
            ProgramError: if it does not wait.
        """
        request = self._known(id)
        if request not in self._lanes:
            raise ProgramError(f"request {id} runs already")
        self._start(request)
        return request

    def put_back(self, id: Hashable, now: float) -> None:
        """A running request was preempted or let down, and waits again where it stood.

        Raises:
            ProgramError: if it does not run.
        """
        self._wait(self._running(id), now)

    def served(self, id: Hashable, tokens: int, now: float) -> None:
        """A running request has generated so many tokens more.

        Raises:
            ProgramError: if it does not run.
        """
        request = self._running(id)
        row = self.table[request.program]
        self._generated[id] = self._generated.get(id, 0) + tokens
        row.attained_tokens += tokens
        row.unfinished_tokens += tokens
        self._lanes.touch(row.id)

    def finish(self, id: Hashable, tokens: int, now: float) -> None:
        """A running request has come to its end with so many tokens in all.

        Raises:
            ProgramError: if it does not run.
        """
        request = self._running(id)
        row = self.table[request.program]
        row.attained_tokens += tokens - self._generated.get(id, 0)
        row.in_flight -= 1
        self._forget(row, request)
        self.table.land(row, tokens)
        self._lanes.touch(row.id)
        self.table.drop_if_done(row)

    def remove(self, id: Hashable, now: float) -> bool:
        """A request was cut or has failed, waiting or running; returns whether it was known."""
        if id not in self._requests:
            return False
        request = self._requests[id]
        row = self.table[request.program]
        if request in self._lanes:
            self._take(row, request)
        else:
            row.in_flight -= 1
        self._forget(row, request)
        self._lanes.touch(row.id)
        self.table.drop_if_done(row)
        return True

    def key(self, id: Hashable, now: float) -> Key:
        """The sort key of a waiting or running request; the greatest of those that run is the one to preempt.

        Raises:
            ProgramError: if it is not known.
        """
        request = self._known(id)
        place = self._ordering.place(self.table[request.program], request, now)
        return (*place.key, request.rank)

    def _refresh(self) -> None:
        if self._is_fixed:
            return
        for row in self.table.outdated(_REFRESHED):
            self._lanes.touch(row.id)

    def _arriving(
        self, id: Hashable, program: ProgramId, now: float, depth: int, opening: Hashable
    ) -> tuple[Row, Waiting]:
        if id in self._requests:
            raise ProgramError(f"request {id} waits or runs already; give every request an id of its own")
        row = self.table.seen(program)
        self.table.arrive(row, now)
        request = Waiting(id, program, self._arrivals, now, row.remaining_tokens, depth, opening)
        self._arrivals += 1
        self._requests[id] = request
        return row, request

    def _known(self, id: Hashable) -> Waiting:
        if id not in self._requests:
            raise ProgramError(f"request {id} neither waits nor runs; add it first")
        return self._requests[id]

    def _running(self, id: Hashable) -> Waiting:
        request = self._known(id)
        if request in self._lanes:
            raise ProgramError(f"request {id} waits; start it first")
        return request

    def _start(self, request: Waiting) -> list[Row]:
        """Start a request; returns its program if that had not started."""
        row = self.table[request.program]
        self._take(row, request)
        row.in_flight += 1
        return [row] if self.table.start(row) else []

    def _wait(self, request: Waiting, now: float) -> None:
        row = self.table[request.program]
        row.in_flight -= 1
        row.waiting += 1
        self._lanes.put(row, request, now)

    def _take(self, row: Row, request: Waiting) -> None:
        row.waiting -= 1
        self._lanes.take(request)

    def _forget(self, row: Row, request: Waiting) -> None:
        del self._requests[request.id]
        row.unfinished_tokens -= self._generated.pop(request.id, 0)
