"""The scheduler as an engine needs it: requests by the engine's ids, programs that are remembered between rounds.

It is told what happens and handed `now`; it knows no engine and no clock.
"""

from collections import OrderedDict
from itertools import islice
from math import inf
from typing import Final, NamedTuple

import msgspec

from dynasor.inside.at_arrival import SjfAtArrival
from dynasor.inside.counters import Counters
from dynasor.inside.settings import Settings
from dynasor.inside.tags import Tags
from dynasor.request import ProgramId
from dynasor.scheduling.estimate import History, Kind
from dynasor.scheduling.ordering import Key
from dynasor.scheduling.specification import make_scheduler
from dynasor.scheduling.table import ProgramTable, Row

SETTLED_TOKENS: Final = 16
"""That a request generates before its program is ranked anew for them."""
_FORGOTTEN: Final = 64  # programs at a step


class Started(NamedTuple):
    """What the start of a request was.

    Attributes:
        is_oldest: whether none had waited longer.
        is_aged: whether it went first because its program had waited too long.
        begins: whether it is the first of its program.
    """

    is_oldest: bool
    is_aged: bool
    begins: bool


class Ranking:
    """Which of an engine's waiting requests is next, and which of those that run is preempted first.

    Attributes:
        counters: what happened so far.
        arranges: whether the ordering looks at all that wait at once.
        due: the tokens from which on `grow` tells of a running request; of one that is not here, `SETTLED_TOKENS`.
    """

    def __init__(self, settings: Settings) -> None:
        self.counters = Counters()
        self._table = ProgramTable(History(settings.branch_tokens))
        self._core, ordering = make_scheduler(settings.ordering, {"sjf-at-arrival": SjfAtArrival}, self._table)
        self._ages = ordering.startswith("aging")
        self.arranges = self._core.arranges
        self._settings = settings
        self._programs: dict[str, ProgramId] = {}  # of all requests
        self._running: set[str] = set()
        self.due: dict[str, int] = {}
        self._closing: set[ProgramId] = set()  # that said that they make no more requests
        self._idle: OrderedDict[ProgramId, float] = OrderedDict()  # that have none, since when
        self._forgets_at = inf  # the first of them, or before
        self._now = 0.0

    def arrive(self, id: str, tags: Tags, now: float) -> None:
        """A request arrives and waits. One without a program is a program of its own."""
        self.counters.bad_tags += tags.bad_count
        if tags.program is None:
            tags = msgspec.structs.replace(tags, program=f"request {self.asked(id)}", is_last=True)
        program = ProgramId(str(tags.program))
        self._begin(program, tags, now)
        (self._closing.add if tags.is_last else self._closing.discard)(program)
        self._idle.pop(program, None)
        self._programs[id] = program
        self._core.add(id, program, now)

    def asked(self, id: str) -> str:
        """The id of what a client asked for, which an engine may make several requests of."""
        return id

    def order(self, now: float, most: int) -> list[str]:
        """The requests that are next, so many at most."""
        return [str(request.id) for request in self._core.order(now, most)]

    def start(self, id: str, now: float, *, is_oldest: bool) -> Started:
        """A waiting request was taken from the queue."""
        row = self._row(id)
        is_aged = self._ages and self._core.key(id, now)[0] == 0
        started = Started(is_oldest, is_aged, row.start_rank is None)
        self._count(started, 1)
        self.counters.programs_running += not row.in_flight
        self._core.start(id, now)
        self._running.add(id)
        return started

    def unstart(self, id: str, started: Started, now: float) -> None:
        """The latest start of a request is taken back, as if it had not been."""
        row = self._row(id)
        if started.begins:
            self._table.unstart(row)  # before it is ranked again
        self._core.put_back(id, now)
        self._running.remove(id)
        self._count(started, -1)
        self.counters.programs_running -= not row.in_flight

    def put_back(self, id: str, now: float) -> bool:
        """A request waits again; returns whether it ran, and was not just looked at."""
        if id not in self._running:
            return False
        self._core.put_back(id, now)
        self._running.remove(id)
        self.counters.programs_running -= not self._row(id).in_flight
        return True

    def grow(self, id: str, tokens: int, now: float) -> None:
        """A running request has generated so many tokens in all; a few more are not told to the scheduler yet."""
        more = tokens - self.due.get(id, SETTLED_TOKENS) + SETTLED_TOKENS
        if more >= SETTLED_TOKENS and id in self._running:
            self.due[id] = tokens + SETTLED_TOKENS
            self._core.served(id, more, now)

    def end(self, id: str, tokens: int, now: float) -> None:
        """A request has ended or was aborted with so many tokens.

        Whatever ran and has tokens counts as landed: where an engine cannot tell that a stop string ended a request, it
        reports an abort. One that can reports no tokens for what was aborted.
        """
        program = self._programs.pop(id, None)
        if program is None:
            return
        row = self._table[program]
        ran = id in self._running
        self._running.discard(id)
        self.due.pop(id, None)
        if ran and tokens:
            self._core.finish(id, tokens, now)
            self._land(row, now)
        else:
            self._core.remove(id, now)
        self.counters.programs_running -= ran and not row.in_flight
        if row.is_active:
            return
        if program in self._closing:
            self._forget(program, now)
        else:
            self._idle[program] = now
            self._forgets_at = min(self._forgets_at, now + self._settings.memory_s)

    def key(self, id: str, now: float) -> Key:
        """The sort key of a request; the greatest of those that run is the one to preempt."""
        return self._core.key(id, now)

    def program(self, id: str) -> ProgramId | None:
        """Who made a request; None where it has ended."""
        return self._programs.get(id)

    def step(self, now: float) -> None:
        """A step of the engine begins: forget programs that have made no request for long."""
        self._now = now
        if now >= self._forgets_at:
            self._forget_idle(now)
        self.counters.programs = len(self._table)
        self.counters.requests_running = len(self._running)

    def _count(self, started: Started, times: int) -> None:
        self.counters.started += times
        self.counters.reorders += times * (not started.is_oldest)
        self.counters.aged += times * started.is_aged

    def _row(self, id: str) -> Row:
        return self._table[self._programs[id]]

    def _begin(self, program: ProgramId, tags: Tags, now: float) -> None:
        """Take in what a request tells of its program; what it does not tell stays as it was."""
        known = self._table.get(program)
        knob, deadline = tags.remaining_knob, tags.deadline_s
        self._core.begin(
            program,
            now,
            kind=Kind(tags.algorithm, tags.data_set),
            remaining_knob=known.remaining_knob if known and knob is None else knob,
            knob=tags.knob,
            deadline=known.deadline if known and deadline is None else deadline and now + deadline,
        )
        if tags.remaining_tokens is not None:
            self._core.tell(program, tags.remaining_tokens, now)

    def _land(self, row: Row, now: float) -> None:
        """One of the requests that a program was expected to make has landed."""
        if row.knob is None and row.remaining_knob is not None:
            left = max(row.in_flight + row.waiting, row.remaining_knob - 1)
            self._core.progress(row.id, now, remaining_knob=left)

    def _forget_idle(self, now: float) -> None:
        self._forgets_at = inf
        for program, since in list(islice(self._idle.items(), _FORGOTTEN)):
            self._forgets_at = since + self._settings.memory_s
            if self._forgets_at > now:
                break
            self._forget(program, now)

    def _forget(self, program: ProgramId, now: float) -> None:
        self._core.end(program, now)
        self._idle.pop(program, None)
        self._closing.discard(program)
