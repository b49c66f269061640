"""Resume is replay: a session is fed what a journal holds, as if it happened again."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from dynasor.programs.session import Cancel, Effect, Finished, Outcome, Session, Submit
from dynasor.request import Completion, Finish, Report, Request, RequestId, continued

_News = TypeVar("_News", Completion, Report)


@dataclass(slots=True)
class Replayed:
    """Where a session is left.

    Attributes:
        requests: those that are still to be made. One that had begun is asked to go on where its last report ended.
        begun: those last reports: what comes of such a request belongs behind them (see `joined`).
        outcome: of a session that has ended.
    """

    requests: list[Request] = field(default_factory=list)
    begun: dict[RequestId, Report] = field(default_factory=dict)
    outcome: Outcome | None = None


def replay(session: Session, happened: Iterable[Completion | Report], now: float) -> Replayed:
    """Start a session and give it what happened before, in the order in which it did.

    What the program does not ask for is passed over. What a cut request cost is taken from the journal when the session
    cuts it again; it counts as what it last reported where the process was killed before more could be written.
    """
    events = list(happened)
    playing = _Playing(session, {event.id: event for event in events if isinstance(event, Completion)}, now)
    playing.settle(session.start(now))
    for event in events:
        if playing.outcome is None and event.id in playing.waiting:
            playing.take(event)
    begun = {id: report for id, report in playing.begun.items() if id in playing.waiting}
    requests = [_going_on(request, begun.get(request.id)) for request in playing.waiting.values()]
    return Replayed(requests, begun, playing.outcome)


def joined(begun: Report, news: _News) -> _News:
    """What comes of a request that went on from `begun`, as if it had not been interrupted."""
    known: int | None = news.tokens
    tokens = None if known is None else begun.tokens + known
    return msgspec.structs.replace(news, text=begun.text + news.text, tokens=tokens)


def _going_on(request: Request, begun: Report | None) -> Request:
    if begun is None:
        return request
    left = max(1, request.sampling.max_tokens - begun.tokens)
    sampling = msgspec.structs.replace(request.sampling, max_tokens=left)
    return msgspec.structs.replace(request, prompt=continued(request.prompt, begun.text), sampling=sampling)


class _Playing:
    """Carries out effects without an engine."""

    def __init__(self, session: Session, known: dict[RequestId, Completion], now: float) -> None:
        self._session, self._known, self._now = session, known, now
        self.waiting: dict[RequestId, Request] = {}
        self.begun: dict[RequestId, Report] = {}
        self.outcome: Outcome | None = None

    def take(self, event: Completion | Report) -> None:
        """Give the session one thing that happened."""
        if isinstance(event, Report):
            self.begun[event.id] = event
            self.settle(self._session.report(event, self._now))
        elif event.finish is not Finish.CANCELLED:
            del self.waiting[event.id]
            self.settle(self._session.land(event, self._now))

    def settle(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Submit(requests):
                    self.waiting |= {request.id: request for request in requests}
                case Finished():
                    self.outcome = effect.outcome
                case Cancel(cut):  # pragma: no branch  (there is no other effect)
                    for id in cut:
                        self._cut(id)

    def _cut(self, id: RequestId) -> None:
        del self.waiting[id]
        report = self.begun.get(id)
        unwritten = Completion(id=id, finish=Finish.CANCELLED, tokens=report.tokens if report else 0)
        self.settle(self._session.land(self._known.get(id) or unwritten, self._now))
