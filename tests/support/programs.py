"""Programs, sessions and completions for tests, made of plain lists."""

from collections.abc import Callable, Iterable

from dynasor.allocation.allocator import Allocator, InRounds
from dynasor.allocation.baselines import Even
from dynasor.answers.grouping import ByText
from dynasor.datasets.problem import Problem
from dynasor.programs.program import Program, Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.session import Cancel, Effect, Finished, Outcome, Session, Submit
from dynasor.request import Completion, Finish, ProgramId, Recorded, RequestId

PROBLEM = Problem("p", "What is 1 + 1?", "2")


def setup(cap: int = 20, **changes: object) -> Setup:
    return Setup(cap=cap, **{"grouping": ByText, **changes})  # type: ignore[arg-type]


def session_of(
    allocator: Allocator | None = None,
    cap: int = 20,
    program: type[Program] = SelfConsistency,
    **changes: object,
) -> Session:
    return Session(program(PROBLEM, setup(cap, **changes)), allocator or InRounds(Even()))


def landing(index: int, answer: str | None = None, tokens: int | None = 10, **more: object) -> Completion:
    id = RequestId(ProgramId("p"), index)
    return Completion(id=id, tokens=tokens, recorded=Recorded(answer), **more)  # type: ignore[arg-type]


def cut(index: int, tokens: int | None = 4) -> Completion:
    return Completion(id=RequestId(ProgramId("p"), index), finish=Finish.CANCELLED, tokens=tokens)


def indices(effect: Effect) -> list[int]:
    assert isinstance(effect, Submit | Cancel)
    if isinstance(effect, Submit):
        return [request.id.index for request in effect.requests]
    return [id.index for id in effect.requests]


def outcome_of(effects: list[Effect]) -> Outcome:
    assert len(effects) == 1
    assert isinstance(effects[0], Finished)
    return effects[0].outcome


def play(session: Session, answers: Callable[[int], Completion], order: Iterable[int] | None = None) -> Outcome:
    """Answer whatever a session asks, in the order given (by default as asked); a cut branch costs 4 tokens."""
    waiting: dict[int, Completion] = {}
    effects = session.start(0.0)
    rank = {index: place for place, index in enumerate(order or ())}
    while True:
        for effect in effects:
            match effect:
                case Submit():
                    waiting |= {index: answers(index) for index in indices(effect)}
                case Cancel():
                    waiting |= {index: cut(index) for index in indices(effect)}
                case Finished(outcome):
                    return outcome
        chosen = min(waiting, key=lambda index: (rank.get(index, index), index))
        effects = session.land(waiting.pop(chosen), 1.0)
