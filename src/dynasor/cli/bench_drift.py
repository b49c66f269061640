"""`dynasor bench drift`: how soon a broken promise is noticed, and how often one that holds is taken for broken."""

from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from dynasor.bench.drift_study import HORIZON, ORDERS, DriftPlan, run_drift
from dynasor.bench.drift_tables import write_drift
from dynasor.bench.provenance import provenance
from dynasor.calibration.guarantee import Promise
from dynasor.errors import UsageError


@click.command(short_help="Planted shifts: how soon they are caught.")
@click.argument("traces", type=click.Path(path_type=Path))
@click.option("--runs", default=200, show_default=True, type=click.IntRange(min=2), help="Of each kind.")
@click.option("--tolerance", default=2.0, show_default=True, help="Of the promise, in percentage points.")
@click.option("--confidence", default=0.95, show_default=True, help="Of the promise.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(min=1), help="Processes.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/drift"), show_default=True)
@click.option("--page", type=click.Path(path_type=Path), default=Path("docs/results/drift.md"), show_default=True)
def drift(traces: Path, runs: int, tolerance: float, confidence: float, workers: int, out: Path, page: Path) -> None:
    """Plant shifts on recordings, and count the programs until the alarm; and count alarms without a shift.

    TRACES is the folder of the recordings. 200 runs take two minutes of two free cores.

    \b
    Example:
      dynasor bench drift ../shared/data/traces
    """  # noqa: D301
    plan = DriftPlan(traces, runs, Promise(tolerance / 100, confidence), workers=workers)
    if missing := [name for shift in plan.shifts for name in shift.recordings if not plan.file(name).is_file()]:
        raise UsageError(f"no such trace: {plan.file(missing[0])}; name the folder of the recordings")
    console = Console(stderr=True)
    rows = [row for part in track(run_drift(plan), "running", len(plan.shifts), console=console) for row in part]
    origin = provenance(seeds=f"0 to {runs - 1}", tolerance_points=tolerance, confidence=confidence, orders=ORDERS,
                        horizon=HORIZON)  # fmt: skip
    write_drift(rows, origin, out, page)
    click.echo(f"wrote {page} and {out}/rows.jsonl")
