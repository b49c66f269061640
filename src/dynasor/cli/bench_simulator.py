"""`dynasor bench simulator`: how fast the simulator is, and what the orderings do to recorded programs."""

from pathlib import Path

import click
import msgspec

from dynasor.bench.provenance import provenance
from dynasor.bench.simulator_speed import SpeedPlan, SpeedRow, measure_speed
from dynasor.clock import WallClock
from dynasor.datasets.files import bare_name
from dynasor.errors import UsageError
from dynasor.launch.order_study import OrderPlan, OrderRow, run_orders

_OUT = Path("results/simulation/rows.jsonl")
_SIZES = "10000,100000,1000000"


@click.command()
@click.argument("traces", nargs=-1)
@click.option("--sizes", default=_SIZES, show_default=True, help="Requests that are simulated to measure the speed.")
@click.option("--replicas", default=1, show_default=True, type=click.IntRange(min=1), help="For the speed.")
@click.option("--answer-tokens", default=200, show_default=True, type=click.IntRange(min=1), help="For the speed.")
@click.option("--cap", default=20, show_default=True, type=click.IntRange(min=1))
@click.option("--policy", help="How much each program gets.  [default: the algorithm's]")
@click.option("--load", default=0.9, show_default=True, help="Arrivals over what the accelerator can do.")
@click.option("--burstiness", default=1.0, show_default=True, help="Deviation of the gaps over their mean; 1: Poisson.")
@click.option("--sequences", default=256, show_default=True, type=click.IntRange(min=1), help="At once on a replica.")
@click.option("--programs", default=1000, show_default=True, type=click.IntRange(min=10))
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("results/simulation/rows.jsonl"), show_default=True
)
def simulator(
    traces: tuple[str, ...], sizes: str, replicas: int, answer_tokens: int, out: Path, **given: object
) -> None:
    """Measure how fast the simulator is; or, given TRACES, compare the orderings on recorded programs.

    \b
    Examples:
      dynasor bench simulator --sizes 10000,100000
      dynasor bench simulator svamp --sequences 64 --burstiness 4 --out results/simulation/orders.jsonl
    """  # noqa: D301
    rows: list[OrderRow] | list[SpeedRow]
    if traces:
        rows = [row for trace in traces for row in run_orders(OrderPlan(trace=trace, **given))]  # type: ignore[arg-type]
        told = [_order(row) for row in rows]
    else:
        clock = WallClock()
        rows = [measure_speed(SpeedPlan(requests, replicas, answer_tokens), clock) for requests in _numbers(sizes)]
        told = [_speed(row) for row in rows]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in (provenance(), *rows)))
    for line in told:
        click.echo(line)
    click.echo(f"wrote {out}")


def _order(row: OrderRow) -> str:
    return (
        f"{bare_name(Path(row.trace))}  {row.ordering:28}  mean {row.mean_s:8.2f} s  P90 {row.p90_s:8.2f} s"
        f"  P99 {row.p99_s:8.2f} s; mean {100 * row.against_oracle:+.1f} % on the oracle, P99 {row.tail:.2f} of gang"
    )


def _speed(row: SpeedRow) -> str:
    return (
        f"{row.requests:,} requests on {row.replicas}: {row.cpu_s:.1f} s of the processor ({row.s:.1f} s),"
        f" {row.us_per_request:.0f} µs a request, {row.steps_per_s:,.0f} steps/s, {row.tokens_per_s:,.0f} tokens/s,"
        f" {row.virtual_s:,.0f} s simulated"
    )


def _numbers(text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError as fault:
        raise UsageError(f"--sizes is '{text}'; write whole numbers with commas between them") from fault
    if least := [number for number in numbers if number < 20]:
        raise UsageError(f"--sizes has {least[0]}; a program alone makes 20 requests")
    return numbers
