"""The journal of one live run, read as points of curves: one algorithm at one cap, with a result for every problem.

A point at a smaller cap is the run cut there: a fresh session of that cap is given the completions of the journal, as
a resume gives them, and ends when it has what it asks for. That is exact wherever the first requests do not depend on
the cap: for independent branches, and for a tree search that runs one iteration after the other. It asks nobody.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from dynasor.allocation.allocator import InRounds
from dynasor.allocation.baselines import Even
from dynasor.answers.grouping import ByNormalForm
from dynasor.bench.algorithm_arms import Arm, Reading
from dynasor.datasets.problem import Problem, judge
from dynasor.errors import UsageError
from dynasor.journal.journal import read_journal
from dynasor.journal.records import Landed, ProgramFinished
from dynasor.programs.best_of_n import SCORERS
from dynasor.programs.program import Program, Setup
from dynasor.programs.replay import replay
from dynasor.programs.search import Search
from dynasor.programs.session import Outcome, Session
from dynasor.request import Completion, Recorded, RequestId
from dynasor.wiring import make_algorithm


class Solved(msgspec.Struct, frozen=True):
    """What one program came to; `latency_s` is None where it is a part of a longer run."""

    correct: float
    tokens: float
    certaindex: float
    knob: int
    latency_s: float | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """One algorithm at one cap.

    Attributes:
        solved: by problem.
    """

    curve: str
    arm: str
    cap: int
    solved: Mapping[str, Solved]


@dataclass(slots=True)
class Log:
    """What a run's journal holds of its problems.

    Attributes:
        finished: by problem.
        landed: by problem, the last completion of every request, in the order in which these landed.
    """

    finished: dict[str, ProgramFinished] = field(default_factory=dict)
    landed: dict[str, dict[RequestId, Landed]] = field(default_factory=dict)


def read_log(journal: Path) -> Log:
    """Read a journal; a request that failed and was asked again counts where it landed at last."""
    log = Log()
    for record in read_journal(journal):
        match record:
            case Landed(completion=completion):
                mine = log.landed.setdefault(completion.id.program, {})
                mine.pop(completion.id, None)
                mine[completion.id] = record
            case ProgramFinished():
                log.finished[record.program] = record
    return log


def points(arm: Arm, log: Log, problems: Sequence[str]) -> Iterator[Point]:
    """The points that an arm gives, over the named problems."""
    for reading in arm.readings:
        if not reading.algorithm:
            solved = {problem: _as_it_ended(log.finished[problem]) for problem in problems}
            yield Point(reading.curve, arm.name, arm.cap, solved)
        for cap in reading.caps:
            yield Point(reading.curve, arm.name, cap, {id: _cut(arm, reading, cap, log, id) for id in problems})


def _as_it_ended(record: ProgramFinished) -> Solved:
    return Solved(record.correct or 0.0, record.tokens, record.certaindex, record.knob, record.latency_s)


def _cut(arm: Arm, reading: Reading, cap: int, log: Log, id: str) -> Solved:
    record = log.finished[id]
    problem = Problem(record.program, record.question, record.gold)
    outcome = _outcome(arm, reading, cap, problem, log.landed[id].values())
    latency_s = record.latency_s if cap == arm.cap else None
    correct = judge(problem, outcome.answer) or 0.0
    return Solved(correct, outcome.tokens, outcome.certaindex, outcome.knob, latency_s)


def _outcome(arm: Arm, reading: Reading, cap: int, problem: Problem, landed: Iterable[Landed]) -> Outcome:
    algorithm = make_algorithm(reading.algorithm)
    setup = Setup(cap=cap, sampling=arm.sampling, grouping=ByNormalForm, scorer=SCORERS[reading.scorer])
    session = Session(algorithm(problem, setup), InRounds(Even()))
    replayed = replay(session, [_told(record, algorithm) for record in landed], 0.0)
    if replayed.outcome is None:
        told = f"{reading.algorithm} at cap {cap} asks for more than the journal of {arm.name} holds of '{problem.id}'"
        raise UsageError(f"{told}; remove that run, and run it anew")
    return replayed.outcome


def _told(record: Landed, algorithm: type[Program]) -> Completion:
    """A branch with the answer that was read from it; the step of a search is read anew, with its path."""
    if issubclass(algorithm, Search):
        return record.completion
    return msgspec.structs.replace(record.completion, recorded=Recorded(record.answer))
