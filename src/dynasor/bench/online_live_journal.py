"""The journal of one point: its settings, what landed, and every program that answered; the texts are left out.

A point that was interrupted is not resumed but measured anew, since programs come in real time: its journal is then
begun anew.
"""

from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from dynasor.bench.online_live_rows import LivePoint
from dynasor.datasets.problem import judge
from dynasor.journal.journal import JOURNAL, JournalWriter
from dynasor.journal.records import Landed, ProgramFinished, RunStarted
from dynasor.programs.program import Program
from dynasor.programs.session import Outcome
from dynasor.runtime.events import BranchLanded, Event, ProgramEnded, ProgramStarted


class PointJournal:
    """Written as things happen, in a directory of its own."""

    def __init__(self, directory: Path, point: LivePoint) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / JOURNAL).unlink(missing_ok=True)
        self._writer = JournalWriter(directory / JOURNAL)
        self._writer.append(RunStarted(settings=msgspec.to_builtins(point), circumstances={}))

    def take(self, event: Event | ProgramStarted) -> None:
        """Write what has happened."""
        match event:
            case BranchLanded(program, completion):
                answer = program.answer_of(completion) if completion.finish.is_whole else None
                self._writer.append(Landed(answer=answer, completion=msgspec.structs.replace(completion, text="")))
            case ProgramEnded(program, outcome):
                self._writer.append(_finished(program, outcome))
                self._writer.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()


def _finished(program: Program, outcome: Outcome) -> ProgramFinished:
    return ProgramFinished(
        program=program.id,
        question=program.problem.question,
        gold=program.problem.gold,
        answer=outcome.answer,
        correct=judge(program.problem, outcome.answer),
        certaindex=outcome.certaindex,
        knob=outcome.knob,
        tokens=outcome.tokens,
        stopped_by=outcome.stopped_by,
        even_tokens=program.even_tokens(outcome.failed_count),
        cut_tokens=outcome.cut_tokens,
        cut_count=outcome.cut_count,
        failed_count=outcome.failed_count,
        unknown_count=outcome.unknown_count,
        latency_s=outcome.finished_at - outcome.started_at,
    )
