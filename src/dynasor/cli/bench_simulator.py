"""`dynasor bench simulator`: how fast the simulator is."""

from pathlib import Path

import click
import msgspec

from dynasor.bench.provenance import provenance
from dynasor.bench.simulator_speed import SpeedPlan, SpeedRow, measure_speed
from dynasor.cli.whole_numbers import whole_numbers
from dynasor.clock import WallClock

_OUT = Path("results/simulation/speed.jsonl")
_SIZES = "10000,100000,1000000"


@click.command()
@click.option("--sizes", default=_SIZES, show_default=True, help="Requests that are simulated, with commas between.")
@click.option("--replicas", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--answer-tokens", default=200, show_default=True, type=click.IntRange(min=1), help="On average.")
@click.option("--alone", is_flag=True, help="The engine alone, first come, first served: no programs, no scheduler.")
@click.option("--out", type=click.Path(path_type=Path), default=_OUT, show_default=True)
def simulator(sizes: str, replicas: int, answer_tokens: int, alone: bool, out: Path) -> None:
    """Measure how fast the simulator is, on programs that are made up.

    \b
    Examples:
      dynasor bench simulator --sizes 10000,100000
      dynasor bench simulator --sizes 10000,100000 --alone --out alone.jsonl
    """  # noqa: D301
    clock = WallClock()
    rows = [
        measure_speed(SpeedPlan(requests, replicas, answer_tokens, alone=alone), clock)
        for requests in whole_numbers("--sizes", sizes, least=20, why="a program alone makes 20 requests", such=_SIZES)
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in (provenance(), *rows)))
    for row in rows:
        click.echo(_speed(row))
    click.echo(f"wrote {out}")


def _speed(row: SpeedRow) -> str:
    return (
        f"{row.requests:,} requests on {row.replicas}: {row.cpu_s:.1f} s of the processor ({row.s:.1f} s),"
        f" {row.us_per_request:.0f} µs a request, {row.steps_per_s:,.0f} steps/s, {row.tokens_per_s:,.0f} tokens/s,"
        f" {row.virtual_s:,.0f} s simulated"
    )
