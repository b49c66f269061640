"""`dynasor bench orderings` and `dynasor bench queue`: which ordering is worth it, and what it costs."""

from collections.abc import Iterable
from itertools import product
from pathlib import Path

import click
import msgspec

from dynasor.bench.provenance import provenance
from dynasor.bench.queue_speed import WAITING, QueueMeasured, measure_queue
from dynasor.errors import UsageError
from dynasor.launch.order_study import CANDIDATES, OrderPlan, OrderRow, run_orders


@click.command()
@click.argument("traces", nargs=-1)
@click.option("--ordering", "compared", multiple=True, help="May be given several times.  [default: 16 candidates]")
@click.option("--loads", default="0.9", show_default=True, help="Arrivals over what the accelerator can do.")
@click.option("--burstiness", default="1", show_default=True, help="Deviation of the gaps over their mean; 1: Poisson.")
@click.option("--sequences", default=64, show_default=True, type=click.IntRange(min=1), help="At once on it.")
@click.option("--cap", default=20, show_default=True, type=click.IntRange(min=1))
@click.option("--policy", help="How much each program gets.  [default: the algorithm's]")
@click.option("--programs", default=500, show_default=True, type=click.IntRange(min=10), help="Of each of TRACES.")
@click.option("--seed", default=0, show_default=True, help="Of arrivals and samples.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/orderings.jsonl"), show_default=True)
def orderings(
    traces: tuple[str, ...], compared: tuple[str, ...], loads: str, burstiness: str, out: Path, **given: object
) -> None:
    """Compare orderings on recorded programs that arrive at random on a modelled accelerator: mean and tail latency.

    Every ordering has the same arrivals and samples. The mean is held against an oracle's, which knows what every
    program will take, and P99 against that of `gang`. An ordering is marked where its mean is at most 5 % above the
    oracle's and its P99 at most 1.5 times that of `gang`.

    \b
    Examples:
      dynasor bench orderings svamp --programs 100 --ordering fcfs --ordering dynasor
      dynasor bench orderings svamp gsm8k.jsonl.zst --loads 0.7,0.9,1.1 --burstiness 1,4
    """  # noqa: D301
    rows: list[OrderRow] = []
    cells = product(traces or ("svamp",), _positive("--loads", loads), _positive("--burstiness", burstiness))
    for trace, load, spread in cells:
        plan = OrderPlan(trace=trace, load=load, burstiness=spread, **given)  # type: ignore[arg-type]
        cell = run_orders(plan, compared or CANDIDATES)
        click.echo(f"\n{cell[0].trace}, load {load:g}, burstiness {spread:g}: {cell[0].rate:.3g} programs/s")
        for row in cell:
            click.echo(_latency(row))
        rows += cell
    _write(out, (provenance(), *rows))
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


def _latency(row: OrderRow) -> str:
    return (
        f"{'*' if row.guarded else ' '} {row.ordering:28} mean {row.mean_s:8.2f} s  P90 {row.p90_s:8.2f} s"
        f"  P99 {row.p99_s:8.2f} s; mean {100 * row.against_oracle:+.1f} % on the oracle, P99 {row.tail:.2f} of gang"
    )


def _positive(option: str, text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option} is '{text}'; write numbers with commas between them, such as 0.7,0.9") from None
    if not all(number > 0 for number in numbers):
        raise UsageError(f"{option} is '{text}'; each must be above 0")
    return numbers


def _write(out: Path, lines: Iterable[object]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
