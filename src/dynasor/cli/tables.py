"""Tables on a terminal: a comparison of runs, and the result of one. They say everything without colour."""

import json
from collections.abc import Iterator
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dynasor.bench.comparison import Comparison
from dynasor.bench.rows import Row
from dynasor.bench.wording import NOTHING, amount, broken, count, notes, percent, points, problems, saved, shares
from dynasor.journal.records import Alarmed
from dynasor.runtime.tally import RunTally

__all__ = ["amount", "comparison_table", "count", "percent", "points", "print_comparison", "print_run"]

_HEADINGS = ("accuracy", "tokens/\nproblem", "saved", "gained,\npoints", "answers\nchanged")
_NARROWEST_LABEL = 16


def print_comparison(comparison: Comparison) -> None:
    """Print the table, as wide as the terminal allows, and what must be known to read it."""
    console = Console(highlight=False, markup=False)
    console.print(comparison_table(comparison, console.width))
    console.print()
    for note in notes(comparison):
        console.print(note)


def comparison_table(comparison: Comparison, width: int = 80) -> Table:
    """A row for each run, two lines each: figures, and their intervals. The labels get what is left of `width`."""
    cells = [_cells(row) for row in comparison.rows]
    columns = zip(_HEADINGS, *cells, strict=True)
    taken = sum(1 + max(len(line) for cell in column for line in cell.splitlines()) for column in columns)
    table = Table(box=box.SIMPLE_HEAD, leading=1, show_edge=False, padding=0, header_style="")
    table.add_column("run")
    for heading in _HEADINGS:
        table.add_column(Text(heading), justify="right", no_wrap=True)
    for row, texts in zip(comparison.rows, cells, strict=True):
        table.add_row(Text(broken(row.label, max(_NARROWEST_LABEL, width - taken))), *map(Text, texts))
    return table


def print_run(tally: RunTally, directory: Path, *, as_json: bool) -> None:
    """Print the result of one run: a few lines, or its summary as JSON and nothing else."""
    if as_json:
        click.echo(json.dumps(tally.summary(), indent=2))
        return
    console = Console(highlight=False, markup=False)
    console.print(f"{directory}: {problems(tally.finished)}")
    console.print(_run_table(tally))


def _run_table(tally: RunTally) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2), pad_edge=False)
    saving = percent(tally.saving.estimate())
    kind = "recorded" if tally.even_recorded else "estimated"
    for name, figures in (
        ("accuracy", percent(tally.accuracy)),
        ("tokens", count(tally.saving.spent)),
        ("tokens per problem", amount(tally.tokens.estimate())),
        ("tokens saved", saving if saving == NOTHING else f"{saving} against even allocation ({kind})"),
        ("branches per problem", amount(tally.knob.estimate())),
        ("stopped by", shares({reason: number / tally.finished for reason, number in tally.stops.most_common()})),
        *_measured(tally),
        *_warnings(tally),
    ):
        table.add_row(Text(name), Text(figures or NOTHING))
    return table


def alarmed(alarm: Alarmed) -> str:
    """Why the alarm was raised, and after how many programs."""
    return (
        f"{alarm.reason}: {100 * alarm.mean:.2f} % where at most {100 * alarm.most:.2f} % were to be expected, after"
        f" {problems(alarm.programs)}, {count(alarm.shadows)} of them shadows"
    )


def _measured(tally: RunTally) -> Iterator[tuple[str, str]]:
    """What shadow programs have measured, where there are any."""
    shadows = tally.shadows
    if tally.promise is not None:
        yield "promise", tally.promise
        yield "shadow programs", count(shadows.count)
    if shadows.count:
        yield "would have saved", percent(shadows.saving.estimate())
        yield "accuracy lost", percent(shadows.lost.estimate()) if shadows.lost.count else NOTHING
        yield "answers changed", percent(shadows.changed_share)
    if tally.alarm is not None:
        yield "alarm", alarmed(tally.alarm)


def _warnings(tally: RunTally) -> Iterator[tuple[str, str]]:
    """Rows that are there only where something must be known to trust the others."""
    if tally.unanswered:
        yield "without an answer", f"{count(tally.unanswered)} problems"
    if tally.failed_count:
        yield "failed branches", f"{count(tally.failed_count)}, refused by the server; they have no vote"
    if tally.unknown_count:
        yield "uncounted branches", f"{count(tally.unknown_count)}: the server told no tokens; taken at the mean"


def _cells(row: Row) -> list[str]:
    return [
        _stacked(percent(row.accuracy)),
        count(row.tokens.value),
        _stacked(saved(row)),
        _stacked(points(row.gained)),
        percent(row.changed).partition(" [")[0],
    ]


def _stacked(figures: str) -> str:
    """The interval under its figure."""
    return figures.replace(" [", "\n[")
