"""Requests that ask for reasoning: each is answered by a program of its own, and all others are handed on.

It joins the parts: what is asked (`reasoning_wish`, `reasoning_question`), the service that runs the program, and what
the client is told (`answering`, `streaming`). When the client leaves, its program is withdrawn, and the call ends only
when the engine has let go of the last of it: until then its place is taken, and what it costs is counted.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Protocol

import msgspec

from dynasor.allocation.overload import Overload
from dynasor.clock import Clock, utc_timestamp
from dynasor.errors import UsageError
from dynasor.gateway.answering import Head, Reply, reply_of, usage, whole
from dynasor.gateway.call import Call
from dynasor.gateway.reasoning_hosts import Hosts
from dynasor.gateway.reasoning_question import Question, Shape, read_question
from dynasor.gateway.reasoning_settings import ReasoningSettings
from dynasor.gateway.reasoning_wish import Wish, Wishes
from dynasor.gateway.refusals import Refused
from dynasor.gateway.streaming import Streaming
from dynasor.programs.probed import Probed
from dynasor.programs.program import Program
from dynasor.programs.search import Search
from dynasor.runtime.contained import ContainedSession
from dynasor.runtime.service import Service
from dynasor.runtime.ticket import Ticket

_LONGEST_TOLD = 1000  # characters: it quotes what the client sent
_LETTING_GO_S = 5.0  # an engine that takes longer is out of order


class Sessions(Protocol):
    """Makes the session of a request."""

    def __call__(
        self, id: str, wish: Wish, question: Question, most: int | None, due: tuple[Overload, float] | None
    ) -> ContainedSession:
        """The session.

        Args:
            id: of its program.
            wish: the reasoning that is asked for.
            question: what the model is asked.
            most: branches that it may have where it asks for no number; None for any.
            due: the seconds in which its answer is wanted, and what knows whether that can be; None for no hurry.

        Raises:
            UsageError: for what cannot be.
        """
        ...


Begins = Callable[[Call, Wish, ContainedSession, float | None], None]
"""Is told of a call, of the session that will answer it, and of the instant at which its answer is due."""


class Reasoning:
    """Answers calls, as `gateway.completions` has it.

    Attributes:
        hosts: run programs.
        listeners: are told of every program before it is submitted; they must not raise.
    """

    def __init__(
        self, hosts: Hosts, sessions: Sessions, wishes: Wishes, settings: ReasoningSettings, clock: Clock,
        otherwise: Callable[[Call], Awaitable[None]], reading_s: float = 60.0,
    ) -> None:  # fmt: skip
        """Nothing is asked yet.

        Args:
            hosts: run programs.
            sessions: makes them.
            wishes: tells who asks for them.
            settings: of the gateway.
            clock: of all instants.
            otherwise: answers all other calls.
            reading_s: that a client may leave an event unread.
        """
        self.hosts = hosts
        self.listeners: list[Begins] = []
        self._sessions, self._wishes, self._settings = sessions, wishes, settings
        self._clock, self._otherwise, self._reading_s = clock, otherwise, reading_s

    def asks(self, call: Call) -> bool:
        """Whether a call asks for reasoning.

        Raises:
            Refused: 404, for a model NAME@ALGORITHM where neither that name nor such an algorithm is known.
        """
        return self._wishes.is_one(call.asked)

    def __call__(self, call: Call) -> Awaitable[None]:
        """Answer, or hand on."""
        return self.answer(call) if self._wishes.is_one(call.asked) else self._otherwise(call)

    async def answer(self, call: Call) -> None:
        """Answer by a program.

        Raises:
            Refused: 400 for what cannot be, 404 for a model that is not there, 429 for a deadline that has passed.
            EngineError: the engine let it down.
        """
        wish, question = self._wishes.read(call.asked), read_question(call, self._settings)
        host = await self.hosts(wish.model, call.tenant)
        service = host.service
        host.admit(call.tenant)
        id = secrets.token_hex(12)
        due_s = self._due_s(call, wish)
        if due_s is not None and wish.refuse_late:
            host.admit_in_time(due_s)
        due = None if due_s is None or service.overload is None else (service.overload, due_s)
        session = self._made(id, wish, question, call, due)
        deadline = None if due_s is None else self._clock.now() + due_s
        for begins in self.listeners:
            begins(call, wish, session, deadline)
        try:
            ticket = service.submit(session, data_set=wish.model or "", deadline=deadline)
        except UsageError as fault:
            raise _unfit(fault) from None
        call.attempts += 1
        call.started_at = self._clock.now()
        try:
            await self._told(call, ticket, wish, question)
        finally:
            await _let_go(service, ticket)
            call.spent.whole(msgspec.json.encode({"usage": usage(ticket.completions, ticket.tokens, 0)}))

    async def _told(self, call: Call, ticket: Ticket, wish: Wish, question: Question) -> None:
        kind = "chatcmpl" if question.is_chat else "cmpl"
        created_at = int(datetime.fromisoformat(utc_timestamp()).timestamp())
        head = Head(f"{kind}-{ticket.program.id}", created_at, call.asked.model or "", question.is_chat)
        if question.streams:
            streaming = Streaming(call.exchange, head, wish.progress, self._reading_s)
            await streaming.follow(ticket, live=question.count == 1)
            reply = await self._reply(call, ticket, wish, question)
            await streaming.end(reply, with_usage=question.with_usage)
        else:
            reply = await self._reply(call, ticket, wish, question)
            await call.exchange.answer(200, msgspec.json.encode(whole(head, reply)))

    async def _reply(self, call: Call, ticket: Ticket, wish: Wish, question: Question) -> Reply:
        outcome = await ticket.outcome()
        call.first_at = call.first_at or self._clock.now()
        return reply_of(ticket, outcome, question, alternatives=wish.alternatives)

    def _made(
        self, id: str, wish: Wish, question: Question, call: Call, due: tuple[Overload, float] | None
    ) -> ContainedSession:
        try:
            session = self._sessions(id, wish, question, call.tenant.max_branches, due)
        except UsageError as fault:
            raise _unfit(fault) from None
        _check(session.program, wish, question, call.tenant.max_branches)
        return session

    def _due_s(self, call: Call, wish: Wish) -> float | None:
        """The seconds that are left until the answer is due."""
        within_s = call.deadline_s if wish.deadline_s is None else wish.deadline_s
        if within_s is None:
            return None
        left_s = within_s - (self._clock.now() - call.arrived_at)
        if left_s <= 0:
            told = f"the answer cannot come within {within_s:g} s: they have passed while the request waited"
            raise Refused(429, told, "deadline_unmeetable", retry_after_s=1.0)
        return left_s


def _unfit(fault: UsageError) -> Refused:
    return Refused(400, str(fault)[:_LONGEST_TOLD], "invalid_value", "dynasor")


def _check(program: Program, wish: Wish, question: Question, most: int | None) -> None:
    """Refuse what this algorithm cannot do."""
    branches = program.stream_count() or program.setup.cap
    if most is not None and branches > most:
        told = f"{branches} branches are asked for; {most} is the most here"
        raise Refused(400, told, "limit_exceeded", "dynasor.cap")
    if question.count > branches:
        told = f"n is {question.count}, and there are {branches} branches at most; lower it, or raise the cap"
        raise Refused(400, told, "invalid_value", "n")
    if isinstance(program, Search | Probed) and (question.shape is not Shape.TEXT or question.own_messages):
        field = "messages" if question.own_messages else "tools" if question.shape is Shape.CALLS else "response_format"
        what = "messages that hold more than text" if question.own_messages else field
        told = f"{wish.algorithm} has the model go on with its own text, and {what} cannot be kept then; use sc"
        raise Refused(400, told, "unsupported_value", field)


async def _let_go(service: Service, ticket: Ticket) -> None:
    """Cut what still runs of a program, and wait for the engine to be free of it."""
    if ticket.has_ended:
        return
    service.withdraw(ticket.program.id)
    with suppress(TimeoutError):
        async with asyncio.timeout(_LETTING_GO_S):
            await ticket.gone()
