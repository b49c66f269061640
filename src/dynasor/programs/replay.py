"""Resume is replay: a session is fed the completions that a journal holds, as if they landed again."""

from collections.abc import Iterable

from dynasor.programs.session import Cancel, Effect, Finished, Outcome, Session, Submit
from dynasor.request import Completion, Finish, Request, RequestId


def replay(session: Session, completions: Iterable[Completion], now: float) -> tuple[list[Request], Outcome | None]:
    """Start a session and land what was landed before, in the order in which it was.

    Completions that the program does not ask for are passed over. What a cut branch cost is taken from the journal
    when the session cuts it again; it counts as 0 where the process was killed before it could be written.

    Returns:
        The requests that are still to be made, and the outcome if the session has ended.
    """
    landed = list(completions)
    known = {completion.id: completion for completion in landed}
    waiting: dict[RequestId, Request] = {}
    outcome = _settle(session, session.start(now), waiting, known, now)
    for completion in landed:
        if outcome is None and completion.id in waiting and completion.finish is not Finish.CANCELLED:
            del waiting[completion.id]
            outcome = _settle(session, session.land(completion, now), waiting, known, now)
    return list(waiting.values()), outcome


def _settle(
    session: Session,
    effects: list[Effect],
    waiting: dict[RequestId, Request],
    known: dict[RequestId, Completion],
    now: float,
) -> Outcome | None:
    """Carry out the effects without an engine; return the outcome if there is one."""
    outcome = None
    for effect in effects:
        match effect:
            case Submit(requests):
                waiting |= {request.id: request for request in requests}
            case Finished():
                outcome = effect.outcome
            case Cancel(cut):  # pragma: no branch  (there is no other effect)
                for id in cut:
                    del waiting[id]
                    ended = known.get(id) or Completion(id=id, finish=Finish.CANCELLED)
                    outcome = _settle(session, session.land(ended, now), waiting, known, now)
    return outcome
