"""The two arms of a demonstration as one sees them: folds of the records of two runs. Knows no terminal."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from dynasor.answers.equivalence import normal_form
from dynasor.cli.live_branches import Branches
from dynasor.journal.records import Landed, ProgramFinished, Record
from dynasor.metrics.intervals import Estimate, RunningSaving
from dynasor.programs.session import Session
from dynasor.runtime.tally import RunTally

LATEST = 3


@dataclass(frozen=True, slots=True)
class Running:
    """A program at work.

    Attributes:
        arm: the name of its arm.
        granted: branches that it was granted so far; those that have ended among them.
    """

    arm: str
    question: str
    granted: int
    branches: Branches


@dataclass(slots=True)
class Arm:
    """One run.

    Attributes:
        problem_count: how many problems it has.
        branch_count, tokens: of all branches that have ended, those of running programs included.
        tally: over the problems that are done.
        answers: of those by id: the tokens it took, and the normal form of the answer.
        running: the programs at work, the oldest first.
        latest: what was answered last, the newest at the end.
    """

    name: str
    problem_count: int
    branch_count: int = 0
    tokens: int = 0
    tally: RunTally = field(default_factory=RunTally)
    answers: dict[str, tuple[int, str | None]] = field(default_factory=dict)
    running: list[Running] = field(default_factory=list)
    latest: deque[ProgramFinished] = field(default_factory=lambda: deque(maxlen=LATEST))
    _branches: dict[str, Branches] = field(default_factory=dict)

    def take(self, record: Record) -> None:
        """Take in one record of the run's journal."""
        match record:
            case Landed(completion=completion):
                self.branch_count += completion.finish.is_whole
                self.tokens += completion.tokens or 0
                self._branches.setdefault(completion.id.program, Branches()).take(record)
            case ProgramFinished():
                self.tally.add(record)
                answer = None if record.answer is None else normal_form(record.answer)
                self.answers[record.program] = record.tokens, answer
                self.latest.append(record)
                self._branches.pop(record.program, None)
            case _:
                pass

    def look(self, sessions: Iterable[Session]) -> None:
        """Note which programs are at work."""
        self.running = [self._running(session) for session in sessions]

    @property
    def done(self) -> int:
        """Problems that are answered."""
        return len(self.answers)

    def _running(self, session: Session) -> Running:
        branches = self._branches.get(session.program.id) or Branches()
        ended = branches.landed + branches.cut + branches.failed
        return Running(self.name, session.program.problem.question, ended + session.in_flight_count, branches)


@dataclass(frozen=True, slots=True)
class Shared:
    """Two arms on the problems that both have answered: how many, the share of tokens saved, answers that differ."""

    problem_count: int
    saved: Estimate
    changed: int


def shared(even: Arm, other: Arm) -> Shared:
    """Compare an arm with even allocation so far."""
    saving, changed = RunningSaving(), 0
    for problem in even.answers.keys() & other.answers.keys():
        (reference, usual), (spent, answer) = even.answers[problem], other.answers[problem]
        saving.add(spent, reference)
        changed += answer != usual
    return Shared(saving.count, saving.estimate(), changed)
