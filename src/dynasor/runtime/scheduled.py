"""The requests of sessions in the order of a scheduler: what the inter-program scheduler is told, and when.

It moves no bytes and reads no clock. Every request is known to the scheduler from the moment its program makes it until
it has ended; which of them runs is the scheduler's knowledge, and what it asks is kept here.
"""

from collections.abc import Iterable
from typing import cast

import msgspec

from dynasor.programs.session import Session
from dynasor.request import Completion, ProgramId, Prompt, Report, Request, RequestId
from dynasor.scheduling.estimate import Kind, expected_knob
from dynasor.scheduling.scheduler import Scheduler

_OPENING = 128  # characters: about 32 tokens


class Scheduled:
    """What waits and what runs, of all sessions."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._waiting: dict[RequestId, Request] = {}
        self._running: dict[RequestId, Request] = {}
        self._generated: dict[RequestId, int] = {}  # as last reported, of those that run and report
        self._steps: dict[ProgramId, int] = {}  # that a program has made

    @property
    def waiting_count(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    def begin(self, session: Session, now: float, *, data_set: str, deadline: float | None) -> None:
        """A session starts."""
        program = session.program
        kind = Kind(type(program).__name__, data_set)
        knob = float(program.setup.cap)
        self._scheduler.begin(program.id, now, kind=kind, remaining_knob=knob, knob=program.knob, deadline=deadline)
        self._steps[program.id] = 0

    def add(self, requests: Iterable[Request], now: float) -> None:
        """The requests of one step arrive, and wait."""
        step: int | None = None
        for request in requests:
            program = request.id.program
            if step is None:
                step = self._steps[program]
                self._steps[program] = step + 1
            self._waiting[request.id] = request
            self._scheduler.add(request.id, program, now, depth=step, opening=_opening(request.prompt))

    def next(self, now: float) -> Request | None:
        """Start the request that is next, if any waits; it carries what its program is estimated to need yet."""
        chosen = self._scheduler.next(now)
        if chosen is None:
            return None
        remaining = round(self._scheduler.table[chosen.program].remaining_tokens)
        request = self._running[cast(RequestId, chosen.id)] = self._waiting.pop(cast(RequestId, chosen.id))
        return msgspec.structs.replace(request, remaining_tokens=remaining)

    def grew(self, report: Report, now: float) -> int:
        """A request that runs has generated so much by now; returns how much of it is new."""
        known = self._generated.get(report.id, 0)
        self._generated[report.id] = report.tokens
        fresh = max(0, report.tokens - known)  # an attempt that is made anew counts from nothing
        if fresh:
            self._scheduler.served(report.id, fresh, now)
        return fresh

    def fresh_tokens(self, completion: Completion) -> int:
        """What a request that has ended, and is not yet taken in, generated since it was last reported."""
        known = self._generated.get(completion.id, 0)
        return max(0, self._tokens(completion, known) - known)

    def ended(self, completion: Completion, now: float) -> None:
        """A request that ran has ended."""
        id = completion.id
        self._running.pop(id, None)
        known = self._generated.pop(id, 0)
        tokens = self._tokens(completion, known)
        if completion.finish.is_whole:
            self._scheduler.finish(id, max(tokens, known), now)
            return
        if tokens > known:
            self._scheduler.served(id, tokens - known, now)
        self._scheduler.remove(id, now)

    def _tokens(self, completion: Completion, known: int) -> int:
        """As the server tells them, else as many as such a branch takes."""
        if completion.tokens is not None:
            return completion.tokens
        mean = self._scheduler.table[completion.id.program].branch_tokens
        return max(known, round(mean)) if completion.finish.is_whole else known

    def put_back(self, completion: Completion, now: float) -> None:
        """A request was let down, and waits again where it stood; what it generated was served all the same."""
        id = completion.id
        known = self._generated.pop(id, 0)
        if (tokens := completion.tokens or 0) > known:
            self._scheduler.served(id, tokens - known, now)
        self._waiting[id] = self._running.pop(id)
        self._scheduler.put_back(id, now)

    def drop(self, id: RequestId, now: float) -> None:
        """A request is cut that waits."""
        self._waiting.pop(id, None)  # after a drain it is gone
        self._scheduler.remove(id, now)

    def progress(self, session: Session, now: float) -> None:
        """A session may have come further: what it is expected to need yet is estimated anew."""
        program = session.program
        row = self._scheduler.table[program.id]
        knob, remaining = program.knob, max(0, program.setup.cap - program.knob)
        granted = min(session.granted, remaining)
        expected = expected_knob(granted, remaining, program.certaindex)
        if (row.knob, row.remaining_knob) != (knob, expected) or knob + granted not in row.goals:
            self._scheduler.progress(program.id, now, remaining_knob=expected, knob=knob, granted=granted)

    def finish(self, session: Session, now: float) -> None:
        """A session has come to its answer: its branches and its knob tell what others of its kind will take."""
        self.progress(session, now)
        self._scheduler.answered(session.program.id)

    def end(self, program: ProgramId, now: float) -> None:
        """A program has ended, or makes no more requests: what of it waits is forgotten."""
        for waiting in self._scheduler.end(program, now):
            del self._waiting[cast(RequestId, waiting.id)]
        self._steps.pop(program, None)

    def clear(self, now: float) -> None:
        """Forget all that waits."""
        for id in self._waiting:
            self._scheduler.remove(id, now)
        self._waiting.clear()


def _opening(prompt: Prompt) -> str | None:
    """What stands for the first tokens of a prompt; None where it is shorter."""
    text = prompt if isinstance(prompt, str) else "\0".join(turn.content for turn in prompt)
    return text[:_OPENING] if len(text) > _OPENING else None
