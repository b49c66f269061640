"""The scheduler as vLLM's needs it: requests by vLLM's ids, programs that are remembered for a while between rounds.

It is told what happens and handed `now`; it knows no vLLM and no clock.
"""

import re
from collections import OrderedDict
from dataclasses import replace
from typing import Final

from dynasor.request import ProgramId
from dynasor.scheduling.estimate import History, Kind
from dynasor.scheduling.ordering import Key
from dynasor.scheduling.specification import make_scheduler
from dynasor.scheduling.table import Row
from dynasor.vllm_plugin.at_arrival import SjfAtArrival
from dynasor.vllm_plugin.counters import Counters
from dynasor.vllm_plugin.settings import Settings
from dynasor.vllm_plugin.tags import Tags
from dynasor.vllm_plugin.told import ToldRow, ToldTable

_CHILD: Final = re.compile(r"\d+_(.+)", re.DOTALL)
"""vLLM's name for one of the n completions of a request."""
_SETTLED_TOKENS: Final = 16  # that a request generates before its program is ranked anew for them
_FORGOTTEN: Final = 64  # programs at a step


class Ranking:
    """Which of vLLM's waiting requests is next, and which of those that run is preempted first.

    Attributes:
        counters: what happened so far.
    """

    def __init__(self, settings: Settings) -> None:
        self.counters = Counters()
        self._core, ordering = make_scheduler(settings.ordering, {"sjf-at-arrival": SjfAtArrival})
        self._ages = ordering.startswith("aging")
        self._core.table = self._table = ToldTable(History(settings.branch_tokens))
        self._settings = settings
        self._programs: dict[str, ProgramId] = {}  # of all requests
        self._running: set[str] = set()
        self._reported: dict[str, int] = {}  # tokens of requests that have generated any, as far as the core knows
        self._closing: set[ProgramId] = set()  # that said that they make no more requests
        self._idle: OrderedDict[ProgramId, float] = OrderedDict()  # that have none, since when
        self._now = 0.0

    def arrive(self, id: str, tags: Tags, now: float) -> None:
        """A request arrives and waits. One without a program is a program of its own, with its n completions."""
        self.counters.bad_tags += tags.bad_count
        if tags.program is None:
            child = _CHILD.fullmatch(id)
            tags = replace(tags, program=f"request {child[1] if child else id}", is_last=True)
        program = ProgramId(str(tags.program))
        self._begin(program, tags, now)
        (self._closing.add if tags.is_last else self._closing.discard)(program)
        self._idle.pop(program, None)
        self._programs[id] = program
        self._core.add(id, program, now)

    def order(self, now: float, most: int) -> list[str]:
        """The requests that are next, so many at most."""
        return [str(request.id) for request in self._core.order(now, most)]

    def start(self, id: str, now: float, *, is_oldest: bool) -> None:
        """A waiting request was taken from the queue."""
        counters, row = self.counters, self._row(id)
        counters.started += 1
        counters.reorders += not is_oldest
        counters.aged += self._ages and self._core.key(id, now)[0] == 0
        counters.programs_running += not row.in_flight
        self._core.start(id, now)
        self._running.add(id)

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
        more = tokens - self._reported.get(id, 0)
        if more >= _SETTLED_TOKENS and id in self._running:
            self._reported[id] = tokens
            self._core.served(id, more, now)

    def end(self, id: str, tokens: int, now: float) -> None:
        """A request has ended or was aborted with so many tokens.

        Where a stop string ended it, vLLM's scheduler sees an abort: so whatever ran and has tokens counts as landed.
        """
        program = self._programs.pop(id, None)
        if program is None:
            return
        row = self._table[program]
        ran = id in self._running
        self._running.discard(id)
        self._reported.pop(id, None)
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

    def key(self, id: str, now: float) -> Key:
        """The sort key of a request; the greatest of those that run is the one to preempt."""
        return self._core.key(id, now)

    def program(self, id: str) -> ProgramId | None:
        """Who made a request; None where it has ended."""
        return self._programs.get(id)

    def is_live(self, program: ProgramId) -> bool:
        """Whether a program has requests, or had some a moment ago: then its blocks are kept the longest."""
        if program not in self._table:
            return False
        since = self._idle.get(program)
        return since is None or self._now < since + self._settings.grace_s

    def step(self, now: float) -> None:
        """A step of the engine begins: forget programs that have made no request for long."""
        self._now = now
        for _ in range(_FORGOTTEN):
            if not self._idle or next(iter(self._idle.values())) + self._settings.memory_s > now:
                break
            self._forget(next(iter(self._idle)), now)
        self.counters.programs = len(self._table)
        self.counters.requests_running = len(self._running)

    def _row(self, id: str) -> Row:
        return self._table[self._programs[id]]

    def _begin(self, program: ProgramId, tags: Tags, now: float) -> None:
        """Take in what a request tells of its program; what it does not tell stays as it was."""
        known = self._table.find(program)
        knob, deadline = tags.remaining_knob, tags.deadline_s
        self._core.begin(
            program,
            now,
            kind=Kind(tags.algorithm, tags.data_set),
            remaining_knob=known.remaining_knob if known and knob is None else knob,
            knob=tags.knob,
            deadline=known.deadline if known and deadline is None else deadline and now + deadline,
        )
        row = self._table[program]
        if tags.remaining_tokens is not None and isinstance(row, ToldRow):
            row.tell(tags.remaining_tokens)

    def _land(self, row: Row, now: float) -> None:
        """One of the requests that a program was expected to make has landed."""
        if row.knob is None and row.remaining_knob is not None:
            left = max(row.in_flight + row.waiting, row.remaining_knob - 1)
            self._core.progress(row.id, now, remaining_knob=left)

    def _forget(self, program: ProgramId, now: float) -> None:
        self._core.end(program, now)
        self._idle.pop(program, None)
        self._closing.discard(program)
