"""The live host of programs that come one by one, over one engine: submit a program, follow it, or withdraw it.

It moves events from the dispatcher to whoever waits for each program. What a program asks, what it is granted and which
request is next are decided elsewhere; nothing is written down. Used within one event loop.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from dynasor.allocation.overload import Overload
from dynasor.clock import Clock
from dynasor.engines.engine import Engine
from dynasor.errors import EngineError, UsageError
from dynasor.programs.program import Program
from dynasor.request import ProgramId
from dynasor.runtime.contained import ContainedSession
from dynasor.runtime.dispatcher import Dispatcher
from dynasor.runtime.events import BranchGrew, BranchLanded, Event, ProgramEnded, ProgramStalled, ProgramStarted
from dynasor.runtime.in_flight import Limits
from dynasor.runtime.ticket import Ticket
from dynasor.scheduling.scheduler import Scheduler

Listener = Callable[[Event | ProgramStarted], None]
WITHDRAWN = "the program was withdrawn"


@dataclass(frozen=True, slots=True)
class _Waiting:
    session: ContainedSession
    data_set: str
    deadline: float | None


class Service:
    """Runs programs as they come. It works while there are any, and is nothing but its attributes otherwise.

    Programs start in the order in which they come, as many at a time as the limits allow. Half of the engine's places
    are left to other requests than streams, so that chains always find room for their probes: what would take more
    waits, and does not hold up what takes none.

    Attributes:
        listeners: are told of everything that happens, as it does; they must not raise.
        overload: what allocators with a deadline are made with, where there is one.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        limits: Limits,
        scheduler: Scheduler | None = None,
        overload: Overload | None = None,
    ) -> None:
        """Nothing runs yet; the engine must have been checked, and is closed by whoever made it, after `close`."""
        self._dispatcher = Dispatcher(engine, clock, limits, scheduler, overload)
        self._clock, self._limits = clock, limits
        self.overload = overload
        self.listeners: list[Listener] = []
        self._tickets: dict[ProgramId, Ticket] = {}
        self._sessions: dict[ProgramId, ContainedSession] = {}  # of programs that have started
        self._line: dict[ProgramId, _Waiting] = {}
        self._work: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def program_count(self) -> int:
        """Programs that run or wait to."""
        return len(self._tickets)

    @property
    def waiting_count(self) -> int:
        """Programs that wait for their start."""
        return len(self._line)

    @property
    def request_count(self) -> int:
        """Requests in flight or waiting."""
        return self._dispatcher.request_count

    def submit(self, session: ContainedSession, *, data_set: str = "", deadline: float | None = None) -> Ticket:
        """Start a program, or let it wait for room.

        Args:
            session: of a program whose id no other running one has.
            data_set: lengths are estimated by algorithm and this.
            deadline: the instant at which its answer is due, for orderings that ask.

        Raises:
            UsageError: its streams will never find room, or a program of this id runs.
            EngineError: the service is closing.
        """
        program = session.program
        if self._closing:
            raise EngineError("no new programs are taken: the service is closing", retryable=True)
        if program.id in self._tickets:
            raise UsageError(f"a program with the id '{program.id}' runs already; give each an id of its own")
        self._check_streams(program)
        ticket = self._tickets[program.id] = Ticket(program)
        self._line[program.id] = _Waiting(session, data_set, deadline)
        self._admit()
        return ticket

    def withdraw(self, program: ProgramId) -> None:
        """Cut every request of a program at once; its ticket ends when the engine has let go of the last of them.

        One that has ended is passed over.
        """
        if self._line.pop(program, None) is not None:
            self._tickets.pop(program).end(EngineError(WITHDRAWN, retryable=False))
            return
        self._dispatcher.withdraw(program, WITHDRAWN)
        self._tell(self._dispatcher.take_events())

    async def close(self, grace_s: float = 0.0) -> None:
        """Take no more programs, let those that run end for so many seconds, and withdraw the others."""
        self._closing = True
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                for ticket in list(self._tickets.values()):
                    await ticket.gone()
        left = list(self._tickets.values())
        for ticket in left:
            self.withdraw(ticket.program.id)
        for ticket in left:
            await ticket.gone()
        if self._work is not None:  # it may be waiting for the end of an outage, and nobody else does
            self._work.cancel()
            await asyncio.wait([self._work])

    def _check_streams(self, program: Program) -> None:
        needed, places = 2 * program.stream_count(), self._limits.requests
        if needed > places:
            raise UsageError(
                f"{program.stream_count()} streams of a program and what runs beside them need {needed} places, and"
                f" there are {places}; ask for fewer chains"
            )

    def _admit(self) -> None:
        """Start what waits and has room."""
        for id, waiting in list(self._line.items()):
            if self._has_room(waiting.session.program):
                del self._line[id]
                self._start(waiting)

    def _has_room(self, program: Program) -> bool:
        streams = program.stream_count()
        taken = sum(session.program.stream_count() for session in self._sessions.values()) if streams else 0
        return len(self._sessions) < self._limits.programs and 2 * (taken + streams) <= self._limits.requests

    def _start(self, waiting: _Waiting) -> None:
        session = waiting.session
        self._sessions[session.program.id] = session
        self._announce(ProgramStarted(session.program))
        self._dispatcher.start(session, data_set=waiting.data_set, deadline=waiting.deadline)
        self._tell(self._dispatcher.take_events())
        self._withdraw_broken([session])
        if self._work is None and not self._dispatcher.idle:
            self._work = asyncio.get_running_loop().create_task(self._run())
            self._work.add_done_callback(self._stopped)

    async def _run(self) -> None:
        while not self._dispatcher.idle:
            events = await self._dispatcher.step()
            self._tell(events)
            touched = {event.program.id for event in events}
            self._withdraw_broken([session for id in touched if (session := self._sessions.get(id)) is not None])

    def _stopped(self, work: asyncio.Task[None]) -> None:
        """The work is done, or was broken off by a fault of ours: then nobody must wait for it for ever."""
        self._work = None
        if work.cancelled() or (bug := work.exception()) is None:
            if not self._dispatcher.idle and not work.cancelled():
                self._work = asyncio.get_running_loop().create_task(self._run())
                self._work.add_done_callback(self._stopped)
            return
        tickets, self._tickets, self._line, self._sessions = self._tickets, {}, {}, {}
        self._closing = True
        fault = EngineError(f"fault in the service itself: {type(bug).__name__}: {bug}", retryable=False)
        for ticket in tickets.values():
            ticket.end(fault)

    def _withdraw_broken(self, sessions: list[ContainedSession]) -> None:
        for session in sessions:
            if session.fault is not None:
                self._dispatcher.withdraw(session.program.id, str(session.fault))
                self._tell(self._dispatcher.take_events())

    def _tell(self, events: list[Event]) -> None:
        ended = False
        for event in events:
            ticket = self._tickets.get(event.program.id)
            match event:
                case BranchLanded() | BranchGrew():
                    if ticket is not None:
                        ticket.take(event)
                case ProgramEnded() | ProgramStalled():  # pragma: no branch  (there is no other event)
                    self._end(event)
                    ended = True
            self._announce(event)
        if ended:
            self._admit()

    def _end(self, event: ProgramEnded | ProgramStalled) -> None:
        id = event.program.id
        session, ticket = self._sessions.pop(id), self._tickets.pop(id)
        if isinstance(event, ProgramEnded):
            ticket.end(event.outcome)
        else:
            withdrawn = event.fault == WITHDRAWN
            ticket.end(session.fault or EngineError(event.fault, retryable=not withdrawn))

    def _announce(self, event: Event | ProgramStarted) -> None:
        for listener in self.listeners:
            listener(event)
