"""One session on a recording, without a loop, clock or journal: for experiments that replay millions of branches."""

from dynasor.engines.recorded import RecordedEngine
from dynasor.programs.session import Cancel, Effect, Finished, Outcome, Session, Submit


def drive(session: Session, engine: RecordedEngine) -> Outcome:
    """Run a session to its outcome. Its instants are 0, as a recording has none."""
    outcome = _apply(session.start(0.0), engine)
    while outcome is None:
        for completion in engine.take():
            outcome = _apply(session.land(completion, 0.0), engine)
    return outcome


def _apply(effects: list[Effect], engine: RecordedEngine) -> Outcome | None:
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
