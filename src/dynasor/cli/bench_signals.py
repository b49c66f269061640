"""`dynasor bench signals`: which signal tells how much compute a problem needs."""

from functools import partial
from math import isnan
from pathlib import Path
from typing import TypeVar

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dynasor.bench.provenance import provenance
from dynasor.bench.signals_correlation import DRAWS
from dynasor.bench.signals_embedding import POLICY, WORDLLAMA, called, embedding_model
from dynasor.bench.signals_page import findings, write_page
from dynasor.bench.signals_plots import write_plots
from dynasor.bench.signals_programs import DETECT_AT
from dynasor.bench.signals_rules import TOLERANCE
from dynasor.bench.signals_sources import sources_in
from dynasor.bench.signals_study import ORDERS, SignalsPlan, WorkloadStudy, run_signals
from dynasor.bench.signals_tables import ROWS, overview, read_rows, write_rows
from dynasor.bench.wording import NOTHING
from dynasor.errors import UsageError

Number = TypeVar("Number", int, float)

_PAGE = "signals.md"
_QUICK_ORDERS, _QUICK_DRAWS = 2, 50
_LEGEND = """
n workloads. Pearson, Kendall: mean correlation with the branches needed; +/−:
workloads where Kendall's is above or below entropy's. Saved: tokens, on the
median workload; +/−: workloads with more or less saved than by entropy; loses:
workloads where more accuracy than the tolerance is lost.
"""
_HEADINGS = ("n", "Pearson", "Kendall", "+/−", "saved", "+/−", "loses")


@click.command()
@click.argument("recordings", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--orders", default=ORDERS, show_default=True, help="Seeded orders of every problem's samples.")
@click.option("--detect-at", default=DETECT_AT, show_default=True, help="Branches that a signal reads.")
@click.option(
    "--tolerance", default=100 * TOLERANCE, show_default=True, help="Points of accuracy that a rule may lose."
)
@click.option(
    "--embedding",
    "embeddings",
    multiple=True,
    default=(WORDLLAMA, POLICY),
    show_default=True,
    help="What embeds prompts: builtin (wordllama), policy (hidden states of the built-in model, for what it answered),"
    " a FILE.gguf (its hidden states), or a server's URL. May be given several times.",
)
@click.option("--no-prompts", is_flag=True, help="Leave predictors of the prompt out; nothing is embedded.")
@click.option("--redraw", is_flag=True, help="Study nothing: read the rows that are there, and write page and plots.")
@click.option("--quick", is_flag=True, help="Two orders, and wider intervals; a few minutes.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Of the rows.  [default: results/signals; quick: runs/signals]"
)
@click.option(
    "--page",
    type=click.Path(path_type=Path),
    help="Its plots lie beside it.  [default: docs/results/signals.md; quick: beside the rows]",
)
def signals(
    recordings: tuple[Path, ...],
    orders: int,
    detect_at: int,
    tolerance: float,
    embeddings: tuple[str, ...],
    no_prompts: bool,
    redraw: bool,
    quick: bool,
    out: Path | None,
    page: Path | None,
) -> None:
    """Compare the signals that tell how much compute a problem needs, on RECORDINGS.

    These are traces, folders of them, runs of even allocation, or their journals packed as .jsonl.xz. Certaindex by
    entropy, length, log-probability, reward, their combinations, and predictors that see the prompt alone: how each
    correlates with the branches needed, and what it saves as a stopping rule.

    \b
    Example:
      dynasor bench signals ../shared/data/traces runs/even --quick
    """  # noqa: D301
    plan = SignalsPlan(
        sources=tuple(sources_in(recordings)),
        embeddings=() if no_prompts else embeddings,
        orders=_QUICK_ORDERS if quick else _at_least("orders", orders, 1),
        detect_at=_at_least("detect-at", detect_at, 2),
        tolerance=_at_least("tolerance", tolerance, 0) / 100,
        draws=_QUICK_DRAWS if quick else DRAWS,
    )
    for source in plan.embeddings:
        embedding_model(source)  # says at once where a name stands for nothing
    out = out or Path("runs" if quick else "results") / "signals"
    page = page or (out / _PAGE if quick else Path("docs") / "results" / _PAGE)
    if redraw:
        origin, studies = read_rows(out)
    else:
        studies = list(run_signals(plan, partial(click.echo, err=True)))
        origin = _origin(plan)
        write_rows(studies, origin, out)
    write_plots(studies, page.parent)
    write_page(studies, plan, origin, page)
    print_signals(studies, plan.tolerance)
    click.echo(f"wrote {out / ROWS}, {page} and its plots")


def print_signals(studies: list[WorkloadStudy], tolerance: float) -> None:
    """Print the overview, in a table that fits into 80 columns, and what follows from it."""
    console = Console(highlight=False, markup=False)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="")
    table.add_column("signal", overflow="fold")
    for heading in _HEADINGS:
        table.add_column(Text(heading), justify="right", no_wrap=True)
    for line in overview(studies, tolerance):
        correlated = (_two(line.pearson), _two(line.kendall), f"{line.stronger}/{line.weaker}")
        saved = (f"{100 * line.saved:.0f} %", f"{line.saves_more}/{line.saves_less}", line.loses)
        table.add_row(Text(line.signal), *(Text(str(cell)) for cell in (line.workloads, *correlated, *saved)))
    console.print(table)
    console.print(_LEGEND)
    for finding in findings(studies, tolerance):
        console.print(finding)


def _origin(plan: SignalsPlan) -> dict[str, object]:
    return provenance(
        seeds=f"0 to {plan.orders - 1}",
        draws=plan.draws,
        detect_at=plan.detect_at,
        tolerance=plan.tolerance,
        embeddings=[*map(called, plan.embeddings)],
    )


def _two(value: float) -> str:
    return NOTHING if isnan(value) else f"{value:.2f}"


def _at_least(name: str, number: Number, least: int) -> Number:
    if number < least:
        raise UsageError(f"--{name} is {number:g}; it must be at least {least}")
    return number
