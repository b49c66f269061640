"""`dynasor bench offline`: allocation policies on recorded samples, chosen on one half and judged on the other."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from dynasor.bench.offline_arms import OURS_TUNED
from dynasor.bench.offline_goals import behind, goals
from dynasor.bench.offline_page import page
from dynasor.bench.offline_plots import write_plots
from dynasor.bench.offline_rows import Result
from dynasor.bench.offline_study import OfflinePlan, known_results, run_offline
from dynasor.bench.offline_workloads import CAPS, workload_of
from dynasor.bench.provenance import provenance
from dynasor.cli.whole_numbers import whole_numbers
from dynasor.errors import UsageError
from dynasor.journal.journal import JOURNAL

_PAGE = "offline.md"


@click.command(short_help="The paper's offline evaluation, on recordings.")
@click.argument("traces", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--caps", default=",".join(map(str, CAPS)), show_default=True, help="Resource caps, where recorded.")
@click.option("--orders", default=20, show_default=True, type=click.IntRange(1), help="Seeded orders of the samples.")
@click.option("--divisions", "divided", default=2, show_default=True, type=click.IntRange(1), help="Into two halves.")
@click.option("--tolerance", default=1.0, show_default=True, help="Points that the guaranteed policy may lose.")
@click.option("--problems", type=click.IntRange(1), help="The first so many of each recording.  [default: all]")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1), help="Processes.")
@click.option("--quick", is_flag=True, help="150 problems, three orders, one division, the largest cap only.")
@click.option("--no-runs", is_flag=True, help="Compute nothing: make the page of what is done.")
@click.option("--out", type=click.Path(path_type=Path), help="Rows.  [default: results/offline; quick: runs/offline]")
@click.option(
    "--page",
    "pages",
    type=click.Path(path_type=Path),
    help="Folder of the page.  [default: docs/results; quick: runs/offline]",
)
def offline(
    traces: tuple[Path, ...],
    caps: str,
    orders: int,
    divided: int,
    tolerance: float,
    problems: int | None,
    workers: int,
    quick: bool,
    no_runs: bool,
    out: Path | None,
    pages: Path | None,
) -> None:
    """Compare all allocation policies on TRACES: recordings, folders of them, or runs of --policy even.

    What is fitted or chosen is so on one half of the problems and judged on the other. A workload that is done is kept
    and not computed again with the same settings, so an interrupted evaluation goes on where it was.

    \b
    Examples:
      dynasor bench offline ../shared/data/traces results/built-in-model/samples.jsonl.gz
      dynasor bench offline svamp --quick
    """  # noqa: D301
    ladder = tuple(sorted(set(whole_numbers("--caps", caps, least=2, why="a vote takes two branches at least"))))
    plan = OfflinePlan(_sources(traces), ladder, orders, divided, tolerance / 100, problems, workers)
    plan = replace(plan, caps=(), orders=3, divided=1, most_problems=150) if quick else plan
    out = out or Path("runs/offline" if quick else "results/offline")
    pages = pages or Path("runs/offline" if quick else "docs/results")
    origin = provenance()
    made_by = {name: str(value) for name, value in origin.items()}
    found = known_results(plan, out) if no_runs else run_offline(plan, out, made_by)
    done = list(track(found, "replaying", total=len(plan.sources), console=Console(stderr=True)))
    results = _in_order(done, plan)
    if not results:
        raise UsageError(f"{out} holds no finished workload with these settings; leave out --no-runs")
    pages.mkdir(parents=True, exist_ok=True)
    missing = {workload_of(source).name for source in plan.sources} - {each.facts.name for each in results}
    shown = (
        origin
        | {"not yet evaluated": ", ".join(sorted(missing)) or "none"}
        | {"orders": plan.orders, "divisions": plan.divided, "problems": plan.most_problems or "all"}
    )
    lines = page(results, shown)
    (pages / _PAGE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_plots(results, pages)
    _print(results)
    click.echo(f"wrote {pages / _PAGE}, its plots, and rows in {out}/workloads")


def _sources(traces: tuple[Path, ...]) -> tuple[str, ...]:
    """Files and runs as they are, folders of recordings as what is in them."""
    found = list(dict.fromkeys(source for trace in traces for source in _of(trace)))
    names = [workload_of(source).name for source in found]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two of the workloads are named {name}; give one of them, or rename a file")
    return tuple(found)


def _of(trace: Path) -> Iterator[str]:
    if not trace.is_dir() or (trace / JOURNAL).is_file():
        yield str(trace)
        return
    inside = sorted(trace.glob("*.jsonl*"))
    if not inside:
        raise UsageError(f"{trace} holds no recordings and is no run; name files, folders of recordings, or runs")
    yield from map(str, inside)


def _in_order(results: list[Result], plan: OfflinePlan) -> list[Result]:
    """As they were given, in whatever order they were done."""
    order = {workload_of(source).name: place for place, source in enumerate(plan.sources)}
    return sorted(results, key=lambda result: order[result.facts.name])


def _print(results: list[Result]) -> None:
    """A line for each workload, within 80 columns, and the goals."""
    click.echo(f"{'workload':<34}{'even %':>7}{'saved %':>9}{'points':>8}{'/oracle':>9}  behind")
    for result in (result for result in results if not result.facts.left_out):
        rows = result.at_largest()
        ours = rows[OURS_TUNED]
        mark = "!" if ours.loses else " "
        click.echo(
            f"{result.facts.name[:33]:<34}{100 * rows['even'].accuracy.value:>7.1f}{100 * ours.saved.value:>9.1f}"
            f"{100 * ours.difference.value:>+7.2f}{mark}{ours.times.value:>9.2f}  {len(behind(result))} of"
            f" {len(result.duels)}"
        )
    for goal in goals(results):
        click.echo(f"{'met' if goal.met else 'missed'}: {goal.text}: {goal.found}")
