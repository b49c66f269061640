"""Traces of requests, and of the programs that answer them, with OpenTelemetry's conventions for generative AI.

A request is a span. Within it is one for what was asked of a backend; or one for the program that answered, and within
that one for each of its branches and probes, with an event for every attempt that a backend lost. Backends are told the
place of what they are asked, so that their own spans stand below it. A span is made once it has ended, out of what is
known then; until then there are a few numbers. It knows no SDK and no socket.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dynasor.clock import Clock, utc_nanoseconds
from dynasor.errors import EngineError
from dynasor.gateway import span_attributes as say
from dynasor.gateway.call import Call
from dynasor.gateway.completions import Answer
from dynasor.gateway.observation import Observation, Seen
from dynasor.gateway.reasoning import Reasoning
from dynasor.gateway.reasoning_wish import Wish
from dynasor.gateway.recording import Kind, Recording, Span
from dynasor.gateway.span_attributes import Attributes
from dynasor.gateway.trace_context import TraceContext, told_in
from dynasor.programs.program import Program
from dynasor.request import Completion, Finish, ProgramId, Request, RequestId
from dynasor.runtime.contained import ContainedSession
from dynasor.runtime.events import BranchLanded, Event, ProgramEnded, ProgramStalled, ProgramStarted
from dynasor.runtime.service import WITHDRAWN

ROUTES = frozenset({"/v1/chat/completions", "/v1/completions"})
"""Of those requests that are traced: the ones that ask a model."""
LOST, STARTED = "dynasor.attempt_lost", "dynasor.program_started"
_LEFT = "client_left"
_NS = 1_000_000_000


@dataclass(slots=True)
class _Branch:
    """A branch or a probe at the backends."""

    context: TraceContext
    request: Request
    url: str
    began_at: float
    lost: list[tuple[float, Attributes]] = field(default_factory=list)


@dataclass(slots=True)
class _Trace:
    """What a request has become so far."""

    request: TraceContext
    client: TraceContext | None
    inner: TraceContext
    call: Call | None = None
    wish: Wish | None = None
    began_at: float = 0.0
    started_at: float | None = None
    branches: dict[RequestId, _Branch] = field(default_factory=dict)


class Tracing:
    """Implements `engines.attempts.Attempts`, and listens to what else happens. Used within one event loop."""

    def __init__(self, recording: Recording, clock: Clock) -> None:
        self._recording, self._clock = recording, clock
        self._calls: dict[Call, _Trace] = {}
        self._programs: dict[ProgramId, _Trace] = {}

    def follow(self, reasoning: Reasoning, observation: Observation) -> None:
        """Listen to both."""
        reasoning.listeners.append(self.began)
        reasoning.hosts.listeners.append(self.take)
        observation.listeners.append(self.ended)

    def answer(self, answer: Answer) -> Answer:
        """The same, whose calls are traced."""

        async def traced(call: Call) -> None:
            trace = self._calls[call] = self._begin(told_in(call.exchange.headers), call.path)
            trace.call = call
            call.onward = trace.inner.headers
            await answer(call)

        return traced

    def began(self, call: Call, wish: Wish, session: ContainedSession, due_at: float | None) -> None:
        """A program begins to answer a call."""
        del due_at
        if (trace := self._calls.get(call)) is not None:
            trace.wish, trace.began_at = wish, self._clock.now()
            self._programs[session.program.id] = trace

    def begin(self, request: Request, url: str) -> Mapping[str, str]:
        """A branch is sent to a backend; returns what tells its place."""
        trace = self._programs.get(request.id.program)
        if trace is None:
            return {}
        branch = trace.branches.get(request.id)
        if branch is None:
            context = self._recording.below(trace.inner)
            branch = trace.branches[request.id] = _Branch(context, request, url, self._clock.now())
        branch.url = url
        return branch.context.headers

    def lost(self, id: RequestId, url: str, fault: EngineError) -> None:
        """A backend has lost an attempt at a branch."""
        trace = self._programs.get(id.program)
        if trace is not None and (branch := trace.branches.get(id)) is not None:
            branch.lost.append((self._clock.now(), say.of_lost_attempt(url, fault)))

    def take(self, event: Event | ProgramStarted) -> None:
        """Something has happened to a program."""
        trace = self._programs.get(event.program.id)
        if trace is None:
            return
        match event:
            case ProgramStarted():
                trace.started_at = self._clock.now()
            case BranchLanded(_, completion):
                self._land(trace, completion)
            case ProgramEnded(program, outcome):
                self._end(trace, program, say.of_outcome(program, outcome), None)
            case ProgramStalled(program, fault):
                self._end(trace, program, {}, _LEFT if fault == WITHDRAWN else say.BROKE_OFF)

    def ended(self, seen: Seen) -> None:
        """A request has ended."""
        trace = None if seen.call is None else self._calls.pop(seen.call, None)
        if seen.route not in ROUTES:
            return
        if trace is None:  # refused before its turn
            trace = self._begin(told_in(seen.exchange.headers), seen.route)
        error = _error(seen)
        if trace.call is not None and trace.call.attempts and trace.wish is None:
            self._record_passed_on(trace, trace.call, seen, error)
        self._recording.record(
            Span(
                name=f"{seen.exchange.method} {seen.route}", kind=Kind.SERVER, context=trace.request,
                parent=trace.client, began_ns=_ns(self._clock, seen.began_at),
                ended_ns=_ns(self._clock, seen.ended_at), attributes=say.of_exchange(seen, error), error=error,
            )
        )  # fmt: skip

    def close(self) -> None:
        """Send the last spans; it blocks for a little."""
        self._recording.close()

    def _begin(self, told: Mapping[str, str], path: str) -> _Trace:
        context, client = self._recording.begin(told, f"POST {path}")
        return _Trace(context, client, self._recording.below(context))

    def _record_passed_on(self, trace: _Trace, call: Call, seen: Seen, error: str | None) -> None:
        began_at = seen.began_at if call.started_at is None else call.started_at
        events = [(at, say.of_lost_attempt(url, reason)) for at, url, reason in call.lost]
        self._recording.record(
            Span(
                name=_named(say.operation_of(call), say.model_of(call)), kind=Kind.CLIENT, context=trace.inner,
                parent=trace.request, began_ns=_ns(self._clock, began_at), ended_ns=_ns(self._clock, seen.ended_at),
                attributes=say.of_passed_on(call, call.backend, error), events=self._told(LOST, events), error=error,
            )
        )  # fmt: skip

    def _land(self, trace: _Trace, completion: Completion) -> None:
        branch = trace.branches.pop(completion.id, None)
        if branch is None:  # it was cut before it was sent
            return
        error = say.BROKE_OFF if completion.finish is Finish.FAILED else None
        self._record_branch(trace, branch, say.of_completion(completion), error)

    def _record_branch(self, trace: _Trace, branch: _Branch, more: Attributes, error: str | None) -> None:
        call, wish = trace.call, trace.wish
        operation = "chat" if call is None else say.operation_of(call)
        model = wish.model or "" if wish is not None else ""
        if error is not None:
            error = str(branch.lost[-1][1][say.ERROR]) if branch.lost else error
            more = {**more, say.ERROR: error}
        now = self._clock.now()
        self._recording.record(
            Span(
                name=_named(operation, model), kind=Kind.CLIENT, context=branch.context, parent=trace.inner,
                began_ns=_ns(self._clock, branch.began_at), ended_ns=_ns(self._clock, now),
                attributes={**say.of_branch(branch.request, operation, model, branch.url), **more},
                events=self._told(LOST, branch.lost), error=error,
            )
        )  # fmt: skip

    def _end(self, trace: _Trace, program: Program, more: Attributes, error: str | None) -> None:
        del self._programs[program.id]
        for branch in trace.branches.values():  # of a program that cannot go on
            self._record_branch(trace, branch, {}, error or say.BROKE_OFF)
        call, wish = trace.call, trace.wish
        assert call is not None  # noqa: S101  (for the type checker: `began` has set both)
        assert wish is not None  # noqa: S101
        attributes = {**say.of_program(call, wish, program), **more}
        started: list[tuple[float, Attributes]] = [] if trace.started_at is None else [(trace.started_at, {})]
        self._recording.record(
            Span(
                name=_named(say.WORKFLOW, wish.algorithm), kind=Kind.INTERNAL, context=trace.inner,
                parent=trace.request, began_ns=_ns(self._clock, trace.began_at),
                ended_ns=_ns(self._clock, self._clock.now()),
                attributes=attributes if error is None else {**attributes, say.ERROR: error},
                events=self._told(STARTED, started), error=error,
            )
        )  # fmt: skip

    def _told(self, name: str, events: list[tuple[float, Attributes]]) -> tuple[tuple[str, int, Attributes], ...]:
        return tuple((name, _ns(self._clock, at), attributes) for at, attributes in events)


def _error(seen: Seen) -> str | None:
    """A word for what went wrong, by the conventions for servers: what a client has done wrong is no error."""
    if seen.exchange.gone:
        return _LEFT
    if seen.exchange.stopped is not None or seen.exchange.status >= 500:
        return seen.reason or str(seen.exchange.status)
    return seen.reason if seen.reason is not None and seen.exchange.streams else None


def _named(operation: str, what: str) -> str:
    return f"{operation} {what}" if what else operation


def _ns(clock: Clock, instant: float) -> int:
    """An instant of a clock that only goes on, as nanoseconds of the epoch."""
    return utc_nanoseconds() - round((clock.now() - instant) * _NS)
