"""One session on a recording, without a loop, clock or journal: for experiments that replay millions of branches."""

from collections.abc import Sequence
from typing import Protocol

from dynasor.programs.session import Cancel, Effect, Finished, Outcome, Session, Submit
from dynasor.request import Completion, Request, RequestId


class UnwaitingEngine(Protocol):
    """An engine that never waits."""

    def submit(self, request: Request) -> None:
        """Start a request."""
        ...

    def cancel(self, id: RequestId) -> None:
        """Cut a request."""
        ...

    def take(self) -> Sequence[Completion]:
        """Whatever has ended since; at least one completion while anything runs."""
        ...


def drive(session: Session, engine: UnwaitingEngine) -> Outcome:
    """Run a session to its outcome. Its instants are 0, as a recording has none."""
    outcome = _apply(session.start(0.0), engine)
    while outcome is None:
        for completion in engine.take():
            outcome = _apply(session.land(completion, 0.0), engine)
    return outcome


def _apply(effects: list[Effect], engine: UnwaitingEngine) -> Outcome | None:
    for effect in effects:
        match effect:
            case Submit(requests):
                for request in requests:
                    engine.submit(request)
            case Cancel(cut):
                for id in cut:
                    engine.cancel(id)
            case Finished(outcome):
                return outcome
    return None
