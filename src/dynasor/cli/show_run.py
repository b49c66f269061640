"""The problems of a past run, a line for each. Pure: from what is known to what is shown."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from dynasor.bench.wording import count, problems
from dynasor.cli.show_cells import (
    add_columns,
    add_texts,
    answer_cell,
    asked,
    figure,
    judged,
    one_line,
    plain_table,
)
from dynasor.journal.records import ProgramFinished
from dynasor.launch.past import PastRun


def chosen(run: PastRun, limit: int | None, *, wrong: bool) -> tuple[list[ProgramFinished], list[tuple[str, int]]]:
    """Those to be shown: finished ones, in the order in which they answered; and unfinished ones with their tokens."""
    finished = [record for record in run.finished.values() if not wrong or _is_wrong(record)]
    unfinished = [] if wrong else list(run.unfinished.items())
    left = None if limit is None else max(0, limit - len(finished))
    return finished[:limit], unfinished[:left]


def run_view(
    directory: Path, run: PastRun, finished: Sequence[ProgramFinished], unfinished: Sequence[tuple[str, int]]
) -> Iterator[RenderableType]:
    """What was run, the table, and how many it does not show."""
    yield Text(f"{directory}: {', '.join(asked(run.settings))}, cap {run.settings.get('cap', '?')}")
    if finished or unfinished:
        yield Text()
        yield _table(finished, unfinished)
    yield Text()
    total = len(run.finished) + len(run.unfinished)
    shown = len(finished) + len(unfinished)
    yield Text(problems(total) if shown == total else f"{count(shown)} of {problems(total)}", style="dim")


def run_json(
    directory: Path, run: PastRun, finished: Sequence[ProgramFinished], unfinished: Sequence[tuple[str, int]]
) -> dict[str, object]:
    """The same for machines."""
    return {
        "run": str(directory),
        "settings": dict(run.settings),
        "problem_count": len(run.finished) + len(run.unfinished),
        "problems": [*map(_finished_json, finished), *({"id": id, "tokens": tokens} for id, tokens in unfinished)],
    }


def _table(finished: Sequence[ProgramFinished], unfinished: Sequence[tuple[str, int]]) -> RenderableType:
    has_gold = any(record.gold is not None for record in finished)
    table = plain_table(expand=True)
    add_texts(table, "problem")
    add_columns(table, "answer _")
    if has_gold:
        add_columns(table, "expected")
    add_columns(table, "certaindex knob tokens", right="certaindex knob tokens")
    add_texts(table, "stopped by")
    for record in finished:
        gold = [answer_cell(record.gold, None, 10)] if has_gold else []
        table.add_row(
            Text(one_line(record.program)),
            answer_cell(record.answer, record.correct, 10),
            judged(record.correct),
            *gold,
            figure(record.certaindex),
            count(record.knob),
            count(record.tokens),
            Text(one_line(record.stopped_by)),
        )
    for id, tokens in unfinished:
        gold = [Text("")] if has_gold else []
        table.add_row(Text(one_line(id)), "", "", *gold, "", "", count(tokens), Text("unfinished", style="yellow"))
    return table


def _finished_json(record: ProgramFinished) -> dict[str, object]:
    return {
        "id": record.program,
        "question": record.question,
        "answer": record.answer,
        "expected": record.gold,
        "correct": record.correct,
        "certaindex": round(record.certaindex, 6),
        "knob": record.knob,
        "tokens": record.tokens,
        "stopped_by": record.stopped_by,
    }


def _is_wrong(record: ProgramFinished) -> bool:
    return record.correct is not None and record.correct <= 0.5
