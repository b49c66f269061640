"""Moves requests from sessions to an engine, and completions back.

It starts requests in the order in which they were made and keeps at most so many in flight. It knows no policy, no
problem and no journal; what happened is returned as events.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import msgspec

from dynasor.clock import Clock
from dynasor.engines.engine import Engine, Reporting
from dynasor.programs.program import Program
from dynasor.programs.replay import joined, replay
from dynasor.programs.session import Cancel, Effect, Finished, Outcome, Session, Submit
from dynasor.request import Completion, Finish, ProgramId, Report, Request, RequestId


@dataclass(frozen=True, slots=True)
class BranchLanded:
    """A request of a program has ended."""

    program: Program
    completion: Completion


@dataclass(frozen=True, slots=True)
class BranchGrew:
    """A request of a program has generated so much by now."""

    program: Program
    report: Report


@dataclass(frozen=True, slots=True)
class ProgramEnded:
    """A program has answered."""

    program: Program
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class ProgramStalled:
    """A program cannot go on because the engine let a request down; what has landed is kept for a resume."""

    program: Program
    fault: str


Event = BranchLanded | BranchGrew | ProgramEnded | ProgramStalled


@dataclass(frozen=True, slots=True)
class Limits:
    """How much runs at a time. Programs are admitted while both limits leave room."""

    requests: int = 64
    programs: int = 64


class Dispatcher:
    """Runs many sessions on one engine."""

    def __init__(self, engine: Engine, clock: Clock, limits: Limits) -> None:
        self._engine = engine
        self._clock = clock
        self._limits = limits
        self._sessions: dict[ProgramId, Session] = {}
        self._waiting: OrderedDict[RequestId, Request] = OrderedDict()
        self._running: set[RequestId] = set()
        self._stalled: dict[ProgramId, str] = {}
        self._running_count: dict[ProgramId, int] = {}
        self._optional: set[RequestId] = set()  # of those that run
        self._begun: dict[RequestId, Report] = {}  # what there was of requests that go on after an interruption
        self._events: list[Event] = []
        self.draining = False

    @property
    def request_count(self) -> int:
        """Requests in flight or waiting."""
        return len(self._running) + len(self._waiting)

    @property
    def program_count(self) -> int:
        """Programs that have started and not ended."""
        return len(self._sessions)

    @property
    def sessions(self) -> Collection[Session]:
        """Those of the programs that have started and not ended, the oldest first."""
        return self._sessions.values()

    @property
    def has_room(self) -> bool:
        """Whether another program would find a free place for a request."""
        within = self.request_count < self._limits.requests and self.program_count < self._limits.programs
        return within and not self.draining

    @property
    def idle(self) -> bool:
        """Whether nothing is in flight, nor anything to tell of."""
        return not self._running and not self._events

    def start(self, session: Session, happened: Iterable[Completion | Report] = ()) -> None:
        """Start a session, which resumes from what happened before, in its order."""
        program = session.program
        self._sessions[program.id] = session
        replayed = replay(session, happened, self._clock.now())
        if replayed.outcome is not None:
            self._end(session, replayed.outcome)
            return
        self._begun |= replayed.begun
        for request in replayed.requests:
            self._waiting[request.id] = request
        self._fill()

    def drain(self) -> None:
        """Start nothing more; what is in flight lands, and may bring programs to their end."""
        self.draining = True
        self._waiting.clear()

    async def step(self) -> list[Event]:
        """Wait until something happens, and return all that has."""
        if self._running and not self._events:
            completions = [self._whole(completion) for completion in await self._engine.ready()]
            self._hear()
            self._events += [self._told(c) for c in completions if not _lets_down(c)]  # paid for, whatever comes next
            for completion in completions:
                self._take(completion)
            self._fill()
        return self.take_events()

    def take_events(self) -> list[Event]:
        """What has happened and was not yet told of; also after `step` has raised what a program of a user's raised."""
        events, self._events = self._events, []
        return events

    def _hear(self) -> None:
        """Take in what requests that run have generated so far."""
        if not isinstance(self._engine, Reporting):
            return
        for news in self._engine.take_reports():
            begun = self._begun.get(news.id)
            report = news if begun is None else joined(begun, news)
            session = self._sessions[report.id.program]
            if report.id.program not in self._stalled:
                self._events.append(BranchGrew(session.program, report))
                self._apply(session, session.report(report, self._clock.now()))

    def _whole(self, completion: Completion) -> Completion:
        """What came of a request, with what there was of it before; what is optional fails for good, if at all."""
        if completion.id in self._optional:
            self._optional.remove(completion.id)
            completion = msgspec.structs.replace(completion, retryable=False)
        begun = self._begun.pop(completion.id, None)
        return completion if begun is None else joined(begun, completion)

    def _told(self, completion: Completion) -> Event:
        return BranchLanded(self._sessions[completion.id.program].program, completion)

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self._limits.requests:
            id, request = self._waiting.popitem(last=False)
            self._running.add(id)
            if request.optional:
                self._optional.add(id)
            self._running_count[id.program] = self._running_count.get(id.program, 0) + 1
            self._engine.submit(request)

    def _take(self, completion: Completion) -> None:
        program = completion.id.program
        self._running.discard(completion.id)
        self._running_count[program] -= 1
        session = self._sessions[program]
        if _lets_down(completion):
            self._stall(session, completion.error or "no reason given")
        elif program not in self._stalled:
            self._apply(session, session.land(completion, self._clock.now()))
        if not self._running_count[program]:
            del self._running_count[program]
            self._give_up(session)

    def _apply(self, session: Session, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Submit(requests) if not self.draining:
                    self._waiting |= {request.id: request for request in requests}
                case Cancel(cut):
                    for id in cut:
                        self._cancel(session, id)
                case Finished(outcome):
                    self._end(session, outcome)

    def _cancel(self, session: Session, id: RequestId) -> None:
        if id in self._running:
            self._engine.cancel(id)
        else:
            self._waiting.pop(id, None)
            unstarted = Completion(id=id, finish=Finish.CANCELLED)
            self._events.append(BranchLanded(session.program, unstarted))
            self._apply(session, session.land(unstarted, self._clock.now()))

    def _end(self, session: Session, outcome: Outcome) -> None:
        del self._sessions[session.program.id]
        self._events.append(ProgramEnded(session.program, outcome))

    def _stall(self, session: Session, fault: str) -> None:
        program = session.program.id
        self._stalled.setdefault(program, fault)
        for id in [id for id in self._waiting if id.program == program]:
            del self._waiting[id]

    def _give_up(self, session: Session) -> None:
        """Let a stalled program go once its last request has ended."""
        fault = self._stalled.pop(session.program.id, None)
        if fault is not None:
            del self._sessions[session.program.id]
            self._events.append(ProgramStalled(session.program, fault))


def _lets_down(completion: Completion) -> bool:
    """Whether a request failed for a reason that may pass, so that its program must be left for a resume."""
    return completion.finish is Finish.FAILED and completion.retryable
