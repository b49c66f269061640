"""`dynasor bench budget`: what a token budget for a whole batch is worth."""

from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from dynasor.bench.budget_study import AT_A_TIME, BudgetPlan, run_budget
from dynasor.bench.budget_tables import write_budget
from dynasor.bench.provenance import provenance
from dynasor.errors import UsageError


@click.command(short_help="A token budget for a batch, against other ways to spend.")
@click.argument("traces", type=click.Path(path_type=Path))
@click.option("--orders", default=5, show_default=True, type=click.IntRange(min=1), help="Orders of the samples.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/budget"), show_default=True)
@click.option("--page", type=click.Path(path_type=Path), default=Path("docs/results/budget.md"), show_default=True)
def budget(traces: Path, orders: int, out: Path, page: Path) -> None:
    """Compare one token budget with even allocation at lower caps, and with policies, at equal total tokens.

    TRACES is the folder of the recordings.

    \b
    Example:
      dynasor bench budget ../shared/data/traces
    """  # noqa: D301
    plan = BudgetPlan(traces, orders)
    if missing := [plan.file(name) for name, _ in plan.recordings if not plan.file(name).is_file()]:
        raise UsageError(f"no such trace: {missing[0]}; name the folder of the recordings")
    console = Console(stderr=True)
    parts = track(run_budget(plan), "running", len(plan.recordings), console=console)
    rows = [row for part in parts for row in part]
    write_budget(rows, provenance(seeds=f"0 to {orders - 1}", programs_at_a_time=AT_A_TIME), out, page)
    click.echo(f"wrote {page} and {out}/rows.jsonl")
