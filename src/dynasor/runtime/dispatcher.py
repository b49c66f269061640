"""Moves requests from sessions to an engine, and completions back.

What waits is started in the order of a scheduler, and no more is in flight than a limit allows. It knows no policy, no
ordering, no problem and no journal; time comes from a clock, which may be virtual; what happened is returned as events.
"""

from collections.abc import Collection, Iterable

import msgspec

from dynasor.allocation.overload import Overload
from dynasor.clock import Clock
from dynasor.engines.engine import Engine, Queueing, Reporting
from dynasor.programs.replay import joined, replay
from dynasor.programs.session import Cancel, Effect, Finished, Outcome, Session, Submit
from dynasor.request import Completion, Finish, ProgramId, Report, RequestId
from dynasor.runtime.events import BranchGrew, BranchLanded, Event, ProgramEnded, ProgramStalled
from dynasor.runtime.in_flight import Limits, in_flight_limit
from dynasor.runtime.outage import Outage
from dynasor.runtime.scheduled import Scheduled
from dynasor.scheduling.fcfs import Fcfs
from dynasor.scheduling.pace import Pace
from dynasor.scheduling.scheduler import Scheduler

_BREATH_S = 0.5  # who waits for a server that is gone looks up so often: there may be a drain


class Dispatcher:
    """Runs many sessions on one engine."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        limits: Limits,
        scheduler: Scheduler | None = None,
        overload: Overload | None = None,
    ) -> None:
        """Nothing starts yet.

        Args:
            engine: answers.
            clock: tells the time of everything that happens; nothing here waits by it.
            limits: how much runs at a time.
            scheduler: the order of what waits; first come, first served if there is none.
            overload: what shrinks grants that would be late; it is kept informed of the time and of the pace.
        """
        self._engine = engine
        self._reporting = engine if isinstance(engine, Reporting) else None
        self._queueing = engine if isinstance(engine, Queueing) else None
        self._clock = clock
        self._limits = limits
        self._in_flight = in_flight_limit(limits)
        self._outage = Outage(limits.outage_s)
        self._written_off: dict[RequestId, int] = {}  # tokens of let-down attempts at requests that are asked again
        self._queue = Scheduled(scheduler or Scheduler(Fcfs()))
        self._overload = overload
        self._pace = Pace()
        self._sessions: dict[ProgramId, Session] = {}
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
        return len(self._running) + self._queue.waiting_count

    @property
    def in_flight_limit(self) -> int:
        """The most requests that may be in flight now."""
        return self._in_flight.now

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
        within = self.request_count < self._in_flight.now and self.program_count < self._limits.programs
        return within and not self.draining

    @property
    def idle(self) -> bool:
        """Whether nothing is in flight or waits to be, nor anything to tell of."""
        return not (self._running or self._events or self._queue.waiting_count)

    def start(
        self,
        session: Session,
        happened: Iterable[Completion | Report] = (),
        *,
        data_set: str = "",
        deadline: float | None = None,
    ) -> None:
        """Start a session, which resumes from what happened before, in its order.

        Args:
            session: one program with its allocator.
            happened: what came of its requests before, for a resume.
            data_set: where its problem comes from: lengths are estimated by algorithm and data set.
            deadline: the instant, by this dispatcher's clock, at which its answer is due, for orderings that ask.
        """
        program, now = session.program, self._now()
        self._sessions[program.id] = session
        self._queue.begin(session, now, data_set=data_set, deadline=deadline)
        replayed = replay(session, happened, now)
        if replayed.outcome is not None:
            self._end(session, replayed.outcome)
            return
        self._begun |= replayed.begun
        self._queue.progress(session, now)
        self._queue.add(replayed.requests, now)
        self._fill()

    def withdraw(self, program: ProgramId, why: str) -> None:
        """Let a program go that nobody waits for: what waits is forgotten, what runs is cut, and then it has stalled.

        One that has ended, or is not known, is passed over.
        """
        session = self._sessions.get(program)
        if session is None:
            return
        self._stall(session, why)
        for id in [id for id in self._running if id.program == program]:
            self._engine.cancel(id)
        if program not in self._running_count:
            self._give_up(session)

    def drain(self) -> None:
        """Start nothing more; what is in flight lands, and may bring programs to their end."""
        self.draining = True
        self._queue.clear(self._clock.now())

    async def step(self) -> list[Event]:
        """Wait until something happens, and return all that has."""
        if not self._running and not self._events and self._queue.waiting_count:
            pause_s = max(0.0, self._outage.pause_until - self._clock.now())
            await self._clock.sleep(min(_BREATH_S, pause_s))
            self._fill()
        if self._running and not self._events:
            running, full = len(self._running), len(self._running) >= self._in_flight.now
            ended = await self._engine.ready()
            self._now()
            try:
                tokens = self._hear()  # before a completion takes away what its reports go on from
            finally:  # paid for, whatever comes next
                completions = [self._whole(completion) for completion in ended]
                self._events += [self._told(c) for c in completions if not _lets_down(c)]
            tokens += sum(self._queue.fresh_tokens(completion) for completion in completions)
            self._tell_pace(tokens, len(completions), running, full=full)
            for completion in completions:
                self._take(completion)
            self._fill()
        return self.take_events()

    def take_events(self) -> list[Event]:
        """What has happened and was not yet told of; also after `step` has raised what a program of a user's raised."""
        events, self._events = self._events, []
        return events

    def _now(self) -> float:
        now = self._clock.now()
        if self._overload is not None:
            self._overload.now = now
        return now

    def _tell_pace(self, tokens: int, landings: int, running: int, *, full: bool) -> None:
        """Let the limit and the allocation know how fast the engine serves."""
        now, queued = self._clock.now(), None if self._queueing is None else self._queueing.queued_count
        self._in_flight.served(now, tokens, landings, full=full, queued=queued)
        if self._overload is not None:
            self._pace.served(tokens, running, now)
            self._overload.pace(self._pace.tokens_per_s, self._pace.request_tokens_per_s)

    def _hear(self) -> int:
        """Take in what requests that run have generated so far; returns how many tokens of it are new."""
        tokens = 0
        for news in () if self._reporting is None else self._reporting.take_reports():
            begun = self._begun.get(news.id)
            report = news if begun is None else joined(begun, news)
            session = self._sessions[report.id.program]
            if report.id in self._running:
                tokens += self._queue.grew(report, self._clock.now())
            if report.id.program not in self._stalled:
                self._events.append(BranchGrew(session.program, report))
                self._apply(session, session.report(report, self._clock.now()))
        return tokens

    def _whole(self, completion: Completion) -> Completion:
        """What came of a request, with what there was of it before; what is optional fails for good, if at all."""
        if completion.id in self._optional:
            self._optional.remove(completion.id)
            completion = msgspec.structs.replace(completion, retryable=False)
        if _lets_down(completion):  # it may be asked again
            return completion
        begun = self._begun.pop(completion.id, None)
        whole = completion if begun is None else joined(begun, completion)
        spent = self._written_off.pop(completion.id, 0)
        return msgspec.structs.replace(whole, tokens=(whole.tokens or 0) + spent) if spent else whole

    def _told(self, completion: Completion) -> Event:
        return BranchLanded(self._sessions[completion.id.program].program, completion)

    def _fill(self) -> None:
        now = self._clock.now()
        if now < self._outage.pause_until:
            return
        most = 1 if self._outage.is_on else self._in_flight.now
        while len(self._running) < most and (request := self._queue.next(now)) is not None:
            program = request.id.program
            self._running.add(request.id)
            if request.optional:
                self._optional.add(request.id)
            self._running_count[program] = self._running_count.get(program, 0) + 1
            self._engine.submit(request)

    def _take(self, completion: Completion) -> None:
        program = completion.id.program
        self._running.discard(completion.id)
        self._running_count[program] -= 1
        session = self._sessions[program]
        if self._is_kept(completion):
            return
        self._queue.ended(completion, self._clock.now())
        if _lets_down(completion):
            self._stall(session, completion.error or "no reason given")
        elif program not in self._stalled:
            self._apply(session, session.land(completion, self._clock.now()))
        if not self._running_count[program]:
            del self._running_count[program]
            self._give_up(session)

    def _is_kept(self, completion: Completion) -> bool:
        """Whether a request that was let down waits to be asked again."""
        id, now = completion.id, self._clock.now()
        if not _lets_down(completion):
            self._outage.ended(id, answered=completion.finish.is_whole)
            return False
        if self.draining or id.program in self._stalled or not self._outage.keeps(id, now):
            self._begun.pop(id, None)
            return False
        self._written_off[id] = self._written_off.get(id, 0) + (completion.tokens or 0)
        self._queue.put_back(completion, now)
        if not self._running_count[id.program]:
            del self._running_count[id.program]
        return True

    def _apply(self, session: Session, effects: list[Effect]) -> None:
        now = self._clock.now()
        for effect in effects:
            match effect:
                case Submit(requests) if not self.draining:
                    self._queue.progress(session, now)
                    self._queue.add(requests, now)
                case Cancel(cut):
                    for id in cut:
                        self._cancel(session, id)
                case Finished(outcome):
                    self._end(session, outcome)
        if session.program.id in self._sessions:
            self._queue.progress(session, now)

    def _cancel(self, session: Session, id: RequestId) -> None:
        if id in self._running:
            self._engine.cancel(id)
        else:
            self._queue.drop(id, self._clock.now())
            unstarted = self._whole(Completion(id=id, finish=Finish.CANCELLED))  # what there was of it was paid for
            self._events.append(BranchLanded(session.program, unstarted))
            self._apply(session, session.land(unstarted, self._clock.now()))

    def _end(self, session: Session, outcome: Outcome) -> None:
        self._queue.finish(session, self._clock.now())
        self._forget(session)
        self._events.append(ProgramEnded(session.program, outcome))

    def _stall(self, session: Session, fault: str) -> None:
        program = session.program.id
        self._stalled.setdefault(program, fault)
        self._queue.end(program, self._clock.now())

    def _give_up(self, session: Session) -> None:
        """Let a stalled program go once its last request has ended."""
        fault = self._stalled.pop(session.program.id, None)
        if fault is not None:
            self._forget(session)
            self._events.append(ProgramStalled(session.program, fault))

    def _forget(self, session: Session) -> None:
        program = session.program.id
        del self._sessions[program]
        self._queue.end(program, self._clock.now())
        self._drop_kept(program)
        if self._overload is not None:
            self._overload.leave(program)

    def _drop_kept(self, program: ProgramId) -> None:
        """Forget what was kept of requests that were to be asked again."""
        for kept in (self._written_off, self._begun):
            for id in [id for id in kept if id.program == program]:
                del kept[id]
        self._outage.forget(program)


def _lets_down(completion: Completion) -> bool:
    """Whether a request failed for a reason that may pass, so that its program must be left for a resume."""
    return completion.finish is Finish.FAILED and completion.retryable
