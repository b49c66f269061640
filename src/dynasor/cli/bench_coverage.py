"""`dynasor bench coverage`: whether the promises of the calibrator are kept."""

from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from dynasor.bench.coverage_plots import FIGURE, write_figure
from dynasor.bench.coverage_study import ORDERS, SPLITS, CoveragePlan, Line, read_lines, run_coverage
from dynasor.bench.coverage_tables import PAGE, ROWS, write_page, write_rows
from dynasor.bench.provenance import provenance
from dynasor.cli.trace_files import trace_files


@click.command(short_help="Whether the promises of dynasor calibrate are kept.")
@click.argument("traces", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--splits", type=click.IntRange(min=2), help=f"Random halvings of a trace.  [default: {SPLITS}; quick: 20]"
)
@click.option(
    "--orders", default=ORDERS, show_default=True, type=click.IntRange(min=1), help="Seeded orders of the samples."
)
@click.option("--workers", default=2, show_default=True, type=click.IntRange(min=1), help="Processes.")
@click.option("--quick", is_flag=True, help="20 halvings: a look, not a result.")
@click.option("--out", type=click.Path(path_type=Path), help="[default: results/coverage; quick: runs/coverage]")
def coverage(
    traces: tuple[Path, ...], splits: int | None, orders: int, workers: int, quick: bool, out: Path | None
) -> None:
    """Halve each of TRACES (files or folders) at random, calibrate on one half and try the policy on the other.

    For tolerances of 0.5, 1, 2 and 5 points at 95 % confidence: how often more than the tolerance is lost, and what is
    saved, beside a tuner that promises nothing. An interrupted study goes on where it was, trace by trace.

    \b
    Example:
      dynasor bench coverage ../shared/data/traces
    """  # noqa: D301
    out = out or Path("runs" if quick else "results") / "coverage"
    plan = CoveragePlan(trace_files(traces), splits or (20 if quick else SPLITS), orders, workers=workers)
    origin = provenance(splits=plan.splits, orders=plan.orders, tolerances=plan.tolerances, confidence=plan.confidence)
    done = read_lines(out / ROWS)
    lines: list[Line] = []
    others = [line for line in done if line.trace not in {trace.name.partition(".jsonl")[0] for trace in plan.traces}]
    console = Console(stderr=True)
    for found in track(run_coverage(plan, done), "halving", total=len(plan.traces), console=console):
        lines += found
        write_rows([*lines, *_left(done, lines, others)], origin, out)
    lines.sort(key=lambda line: line.trace)
    write_rows(lines, origin, out)
    write_page(lines, origin, out)
    write_figure(lines, out / FIGURE)
    click.echo(f"wrote {out}/{PAGE}, {out}/{ROWS} and {out}/{FIGURE}")


def _left(done: list[Line], lines: list[Line], others: list[Line]) -> list[Line]:
    """What an earlier run had of traces that this one has not come to yet; other traces are let go of."""
    here = {line.trace for line in [*lines, *others]}
    return [line for line in done if line.trace not in here]
