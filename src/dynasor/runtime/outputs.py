"""The files that a run leaves beside its journal: one line per answer, and a summary. Both are folds of the journal."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from dynasor.journal.journal import JOURNAL, read_journal
from dynasor.journal.records import ProgramFinished
from dynasor.runtime.tally import RunTally

ANSWERS = "answers.jsonl"
SUMMARY = "summary.json"


def write_outputs(directory: Path, tally: RunTally) -> None:
    """Write both anew; whoever reads them finds the old ones or the new ones, never a part."""
    _replace(directory / ANSWERS, _answer_lines(directory / JOURNAL))
    _replace(directory / SUMMARY, iter([msgspec.json.format(msgspec.json.encode(tally.summary())) + b"\n"]))


def _answer_lines(journal: Path) -> Iterator[bytes]:
    for record in read_journal(journal):
        if isinstance(record, ProgramFinished):
            yield msgspec.json.encode(_answer(record)) + b"\n"


def _answer(record: ProgramFinished) -> dict[str, object]:
    return {
        "id": record.program,
        "question": record.question,
        "answer": record.answer,
        "gold": record.gold,
        "correct": record.correct,
        "certaindex": round(record.certaindex, 6),
        "knob": record.knob,
        "tokens": record.tokens,
        "stopped_by": record.stopped_by,
    }


def _replace(path: Path, lines: Iterator[bytes]) -> None:
    draft = path.with_suffix(".partial")
    with draft.open("wb") as file:
        file.writelines(lines)
    draft.replace(path)
