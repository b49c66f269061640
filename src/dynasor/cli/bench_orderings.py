"""`dynasor bench orderings` and `dynasor bench queue`: which ordering is worth it, and what it costs."""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from statistics import fmean

import click
import msgspec
from rich.console import Console
from rich.table import Table

from dynasor.bench.ordering_study import OrderingPlan, OrderingRow, run_orderings
from dynasor.bench.provenance import provenance
from dynasor.bench.queue_speed import WAITING, QueueMeasured, measure_queue
from dynasor.datasets.recordings import read_recordings
from dynasor.errors import UsageError
from dynasor.wiring import make_policy, make_scheduler

ORDERINGS = "fcfs,app-fifo,prefix,gang+sjf,sjf,aging+sjf,dynasor,attained"
POLICY = "decided+static:threshold=0.7,detect_at=5"


@click.command()
@click.argument("trace", default="svamp")
@click.option("--orderings", default=ORDERINGS, show_default=True, help="Which, with commas between them.")
@click.option("--loads", default="0.9,1.2", show_default=True, help="Shares of the engine that the programs take.")
@click.option("--slots", type=click.IntRange(min=1), default=16, show_default=True, help="Places at the engine.")
@click.option("--cap", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--policy", default=POLICY, show_default=True)
@click.option("--programs", type=click.IntRange(min=1), default=400, show_default=True, help="The first of TRACE.")
@click.option("--orders", type=click.IntRange(min=1), default=3, show_default=True, help="Seeds of arrivals.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/orderings.jsonl"), show_default=True)
def orderings(
    trace: str, orderings: str, loads: str, slots: int, cap: int, policy: str, programs: int, orders: int, out: Path
) -> None:
    """Compare orderings on programs of TRACE that arrive at random, in virtual time: mean and tail latency.

    \b
    Example:
      dynasor bench orderings svamp --programs 100 --orders 1
    """  # noqa: D301
    names = tuple(name.strip() for name in orderings.split(","))
    for name in names:
        make_scheduler(name)
    plan = OrderingPlan(names, _loads(loads), orders, cap, slots)
    chosen = list(read_recordings(trace))[:programs]
    if short := next((r.problem.id for r in chosen if len(r.samples) < cap), None):
        raise UsageError(f"the cap is {cap}, and {trace} has fewer samples for problem '{short}'; lower the cap")
    rows = list(run_orderings(chosen, make_policy(policy)[0], plan))
    origin = provenance(trace=Path(trace).name, policy=policy, plan=plan, programs=len(chosen))
    _write(out, (origin, *rows))
    Console().print(_latencies(rows))
    click.echo(f"wrote {out}")


@click.command()
@click.option(
    "--repeats", type=click.IntRange(min=1), default=3, show_default=True, help="Of every ordering, in turns."
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/queue.jsonl"), show_default=True)
def queue(repeats: int, out: Path) -> None:
    """Measure what ordering costs with 10, 1,000 and 100,000 requests waiting, against first come, first served."""
    rows = [row for waiting in WAITING for row in measure_queue(waiting, repeats)]
    _write(out, (provenance(), *rows))
    for row in rows:
        click.echo(_cost(row))


def _cost(row: QueueMeasured) -> str:
    return f"{row.waiting:>9,} waiting, {row.ordering:<10} {row.us_per_event:6.1f} us an event ({row.ratio:.2f} x fcfs)"


def _latencies(rows: list[OrderingRow]) -> Table:
    """Means over the seeds."""
    table = Table("load", "ordering", "mean s", "P50", "P90", "P99", "longest")
    keyed = sorted(enumerate(rows), key=lambda place: (place[1].load, _first(rows, place[1])))
    for (load, ordering), group in groupby((row for _, row in keyed), key=lambda row: (row.load, row.ordering)):
        same = list(group)
        means = (
            fmean(getattr(row, name) for row in same) for name in ("mean_s", "p50_s", "p90_s", "p99_s", "longest_s")
        )
        table.add_row(f"{load:g}", ordering, *(f"{mean:.2f}" for mean in means))
    return table


def _first(rows: list[OrderingRow], row: OrderingRow) -> int:
    return next(place for place, other in enumerate(rows) if other.ordering == row.ordering)


def _loads(text: str) -> tuple[float, ...]:
    try:
        loads = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--loads is '{text}'; write numbers with commas between them, such as 0.7,0.9") from None
    if not all(load > 0 for load in loads):
        raise UsageError(f"--loads is '{text}'; each must be above 0")
    return loads


def _write(out: Path, lines: Iterable[object]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
