"""A program of an earlier run, played again from the run's journal, to be looked at.

Trees, chains and votes are not written as such: the program that is given its completions again comes to the same. Of
the prompt a journal holds a digest only, so the program is played with the bare question, or with none where the run
was stopped before it had answered. No engine is asked.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from math import isclose

from dynasor.allocation.allocator import InFlight, InRounds
from dynasor.allocation.overload import DEADLINE
from dynasor.allocation.progress import Grant, Policy, stop
from dynasor.allocation.shadow import Shadow, is_shadow
from dynasor.answers.grouping import ByNormalForm, ByText, GroupId, Grouping
from dynasor.datasets.problem import Judge, Problem, judge
from dynasor.errors import DynasorError
from dynasor.launch.comparing import Comparing, comparing
from dynasor.launch.options import RunOptions
from dynasor.launch.past import PastProgram
from dynasor.launch.remade import RunSettings, remade_policy, remade_program, run_settings
from dynasor.programs.program import Program
from dynasor.programs.replay import replay
from dynasor.programs.session import Effect, Outcome, Session, Submit
from dynasor.request import Completion, Report


class Watched(Session):
    """A session that keeps what certaindex came to.

    Attributes:
        readings: certaindex once a request had landed, by the request's index.
        grown: tokens of the program's streams when a request was made, by the request's index and the stream's.
    """

    def __init__(self, program: Program, allocator: InFlight | InRounds) -> None:
        super().__init__(program, allocator)
        self.readings: dict[int, float] = {}
        self.grown: dict[int, Mapping[int, int]] = {}
        self._tokens: dict[int, int] = {}

    def start(self, now: float) -> list[Effect]:
        """Begin."""
        return self._seen(super().start(now))

    def land(self, completion: Completion, now: float) -> list[Effect]:
        """Take in the end of a request, and read certaindex anew."""
        effects = super().land(completion, now)
        self.program.update_certaindex()
        self.readings[completion.id.index] = self.program.certaindex
        return self._seen(effects)

    def report(self, report: Report, now: float) -> list[Effect]:
        """Take in what a request has generated so far."""
        self._tokens[report.id.index] = report.tokens
        return self._seen(super().report(report, now))

    def _seen(self, effects: list[Effect]) -> list[Effect]:
        for effect in effects:
            if isinstance(effect, Submit) and self._tokens:
                self.grown |= {request.id.index: dict(self._tokens) for request in effect.requests}
        return effects


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of a program: `same` is how the first equal one was spelled; `correct` as in `ProgramFinished`."""

    same: str
    correct: float | None


@dataclass(frozen=True, slots=True)
class Reopened:
    """A program of an earlier run.

    Attributes:
        past: what its journal holds.
        session: played again, up to where the journal ends; None where that cannot be done.
        answers: every answer that was read from a request, or given.
        notes: what must be known of how this was made, a sentence each.
    """

    past: PastProgram
    session: Watched | None
    answers: Mapping[str, Answer]
    notes: list[str] = field(default_factory=list)


async def reopened(past: PastProgram) -> Reopened:
    """Play a program again; where that comes to something else than its journal says, it is left as the journal has it.

    User code is loaded only from a file with the digest that the journal tells.
    """
    notes: list[str] = []
    async with AsyncExitStack() as resources:
        try:
            settings = run_settings(past.settings)
            for compared in _comparisons(settings, resources, notes):
                session = _played(past, settings, compared.grouping)
                if session is not None:
                    return Reopened(past, session, _answers(past, compared.grouping(), compared.judge), notes)
            notes.append("Played again, this program ends otherwise than its journal says: shown as it was written.")
        except DynasorError as fault:
            notes.append(f"Shown as it was written, for it cannot be played again: {fault}.")
        return Reopened(past, None, _answers(past, ByNormalForm(), judge), notes)


def _comparisons(settings: RunSettings, resources: AsyncExitStack, notes: list[str]) -> Iterator[Comparing]:
    """What may have compared the answers, the likeliest first.

    A journal does not tell whether `auto` was for a file of samples, whose spellings are merged, or for a run.
    """
    if settings.grouping == "auto" and settings.trace is not None:
        yield Comparing(ByText)
        yield Comparing(ByNormalForm)
        return
    options = RunOptions(grouping=settings.grouping, embedding=settings.embedding, similarity=settings.similarity)
    try:
        compared = comparing(options, resources)
        compared.grouping().place("one"), compared.grouping().place("other")
        yield compared
    except DynasorError as fault:
        notes.append(f"Answers are compared by their normal form, for the run's own way is not to be had: {fault}.")
        yield Comparing(ByNormalForm)


def _played(past: PastProgram, settings: RunSettings, grouping: Callable[[], Grouping]) -> Watched | None:
    """Play a program again; None where it comes to another end."""
    finished = past.finished
    verdicts = finished.verdicts if finished else None
    problem = Problem(past.id, finished.question if finished else "", finished.gold if finished else None, verdicts)
    program = remade_program(settings, problem, grouping)
    allocator = (InFlight if settings.in_flight else InRounds)(_policy(past, settings))
    session = Watched(program, allocator)
    outcome = replay(session, past.happened, 0.0).outcome
    return session if _agrees(past, outcome) else None


def _policy(past: PastProgram, settings: RunSettings) -> Policy:
    finished = past.finished
    by_others = settings.token_budget is not None or (finished is not None and finished.stopped_by == DEADLINE)
    if by_others:  # what others took decided: it is granted what it got
        return lambda progress: Grant(1) if not finished or progress.knob < finished.knob else stop(finished.stopped_by)
    if finished is not None and finished.policy is not None:
        return remade_policy(finished.policy)
    policy = remade_policy(settings.policy)
    is_shadowed = settings.shadow is not None and is_shadow(past.id, settings.shadow, settings.seed)
    return Shadow(policy, lambda: None) if is_shadowed else policy


def _agrees(past: PastProgram, outcome: Outcome | None) -> bool:
    finished = past.finished
    if finished is None or outcome is None:
        return finished is None
    same = (outcome.answer, outcome.knob, outcome.tokens) == (finished.answer, finished.knob, finished.tokens)
    return same and isclose(outcome.certaindex, finished.certaindex, abs_tol=1e-9)


def _answers(past: PastProgram, grouping: Grouping, judge: Judge) -> dict[str, Answer]:
    finished = past.finished
    told = [past.requests[index].answer for index in sorted(past.requests)]
    spelled = _spelled(grouping, [*told, finished.answer if finished else None])
    if finished is None:
        return {answer: Answer(same, None) for answer, same in spelled.items()}
    problem = Problem(past.id, finished.question, finished.gold, finished.verdicts)
    answers = {answer: Answer(same, judge(problem, answer)) for answer, same in spelled.items()}
    if finished.answer is not None:  # the run's own judge is the better one
        answers[finished.answer] = Answer(spelled[finished.answer], finished.correct)
    return answers


def _spelled(grouping: Grouping, answers: Iterable[str | None]) -> dict[str, str]:
    """Each answer, and the first of its group."""
    groups: dict[str, GroupId] = {}
    for answer in answers:
        if answer is not None:
            placement = grouping.place(answer)
            groups = {known: placement.group if g in placement.joined else g for known, g in groups.items()}
            groups.setdefault(answer, placement.group)
    first: dict[GroupId, str] = {}
    return {answer: first.setdefault(group, answer) for answer, group in groups.items()}
