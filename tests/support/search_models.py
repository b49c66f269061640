"""Models for searches, made of plain functions: what a step says, and its reward, follow from the prompt and the index.

`answer_all` drives a session with one, in any order of landing, and keeps what landed as a journal would.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

from dynasor.programs.program import Program
from dynasor.programs.search import Search
from dynasor.programs.session import Cancel, Effect, Finished, Outcome, Session, Submit
from dynasor.programs.tree import Node
from dynasor.request import Completion, Finish, Prompt, Request

Model = Callable[[Request], Completion]


@dataclass(frozen=True)
class SearchModel:
    """Says a few steps, then an answer; some steps are said alike, and every step has a reward.

    Attributes:
        steps: after how many it answers at the latest.
        tells: whether it tells the stop string that ended a step.
        failing: of how many requests one fails; 0 for none.
    """

    seed: int = 0
    steps: int = 4
    tells: bool = True
    failing: int = 0
    logprobs: bool = True

    def __call__(self, request: Request) -> Completion:
        """Answer a request."""
        path = said(request.prompt)
        draw = Random(f"{self.seed}/{path}/{request.id.index}")
        if self.failing and draw.randrange(self.failing) == 0:
            return Completion(id=request.id, finish=Finish.FAILED, error="400 no", tokens=0)
        depth = path.count("\n")
        ends = depth >= self.steps or (depth > 0 and draw.random() < 0.3)
        text = f"The answer is {draw.choice('123')}." if ends else f"step {draw.choice('abcd')}"
        reward = Random(f"reward/{self.seed}/{path}{text}").random()
        return Completion(
            id=request.id,
            text=text,
            tokens=draw.randrange(3, 9),
            stopped_at=None if ends or not self.tells else "\n",
            reward=reward,
            mean_logprob=-draw.random() if self.logprobs else None,
        )


@dataclass
class Run:
    """What came of a session.

    Attributes:
        landed: all completions, in the order in which they landed.
        asked: the index of every request, in the order in which they were made.
        gangs: requests of each gang.
    """

    landed: list[Completion] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    gangs: list[tuple[Request, ...]] = field(default_factory=list)
    outcome: Outcome | None = None

    @property
    def end(self) -> Outcome:
        assert self.outcome is not None
        return self.outcome


def said(prompt: Prompt) -> str:
    """What the model has said so far in a conversation."""
    last = prompt[-1]
    assert not isinstance(last, str)
    return last.content if last.role == "assistant" else ""


def answer_all(
    session: Session,
    model: Model,
    order: Random | None = None,
    waiting: Iterable[Request] | None = None,
) -> Run:
    """Answer whatever a session asks, in the order asked or a drawn one; or go on with what a replay left waiting."""
    run = Run()
    todo: list[Request] = []
    effects: list[Effect] = session.start(0.0) if waiting is None else [Submit(tuple(waiting))]
    while run.outcome is None:
        for effect in effects:
            match effect:
                case Submit(requests):
                    todo += requests
                    run.asked += [request.id.index for request in requests]
                    run.gangs.append(requests)
                case Finished(outcome):
                    run.outcome = outcome
                case Cancel(ids):
                    todo = [request for request in todo if request.id not in ids]
                    ended = [Completion(id=id, finish=Finish.CANCELLED, tokens=1) for id in ids]
                    effects = [effect for completion in ended for effect in session.land(completion, 1.0)]
                    run.outcome = next((e.outcome for e in effects if isinstance(e, Finished)), None)
        if run.outcome is None:
            request = todo.pop(order.randrange(len(todo)) if order else 0)
            run.landed.append(model(request))
            effects = session.land(run.landed[-1], 1.0)
    return run


def tree_of(program: Program) -> list[tuple[object, ...]]:
    """Everything that a tree says, as plain values."""
    assert isinstance(program, Search)
    return [_row(node) for node in (program.tree.root, *program.tree.walk())]


def _row(node: Node) -> tuple[object, ...]:
    above = None if node.parent is None else node.parent.index
    own = (node.index, node.text, node.depth, node.tokens, node.reward, node.end, node.answer)
    return (above, *own, node.prior, node.visits, node.value_sum, node.pending, node.closed)
