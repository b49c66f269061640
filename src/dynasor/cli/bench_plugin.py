"""`dynasor bench plugin`: the scheduler inside vLLM against vLLM's own."""

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import click

from dynasor.bench.engine_backends import VERSIONS
from dynasor.bench.plugin_rows import Cost, Measured, Point, Pressed, Window
from dynasor.bench.plugin_study import measure, measure_throughput
from dynasor.bench.plugin_tables import write_plugin
from dynasor.bench.provenance import provenance
from dynasor.cli.whole_numbers import whole_numbers
from dynasor.clock import WallClock

WAITING = "10,1000,100000"


@click.command()
@click.option("--seeds", default=10, show_default=True, type=click.IntRange(min=1), help="Sets of programs.")
@click.option("--waiting", default=WAITING, show_default=True, help="Waiting requests at which a step is timed.")
@click.option(
    "--rounds",
    default=40,
    show_default=True,
    type=click.IntRange(0),
    help="Of a whole engine in one process; 5 s each.",
)
@click.option("--throughput", default=0, type=click.IntRange(min=0), help="Windows of a real server, for each arm.")
@click.option("--window", default=5.0, show_default=True, help="Seconds of a window.")
@click.option("--concurrency", default=64, show_default=True, help="Requests at a time in a window.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/plugin"), show_default=True)
def plugin(seeds: int, waiting: str, rounds: int, throughput: int, window: float, concurrency: int, out: Path) -> None:
    """Compare the scheduler inside vLLM with vLLM's own: steps until programs end, and what it costs.

    Figures in engine steps are the same on every machine. What it costs is told in the processor's time, by turns and
    with intervals, so that a busy machine makes the intervals wider and not the figures wrong; --throughput, of real
    servers, needs a quiet one. vLLM is set up by scripts/vllm-environment.

    \b
    Example:
      dynasor bench plugin --seeds 2 --waiting 10,1000 --rounds 10
    """  # noqa: D301
    told, before = partial(click.echo, err=True), os.getloadavg()
    origin = provenance(vllm=VERSIONS["vllm"](), seeds=f"0 to {seeds - 1}", load_before=before)
    rows: list[Measured] = []
    wanted = {"whole": rounds, "throughput": throughput}
    parts: dict[str, Callable[[], Iterable[Measured]]] = {
        "steps": lambda: measure("steps", Point, (seeds,)),
        "pressure": lambda: measure("pressure", Pressed),
        "cost": partial(measure, "cost", Cost, whole_numbers("--waiting", waiting, such="10,1000")),
        "whole": lambda: measure("whole", Window, (rounds,)),
        "throughput": lambda: measure_throughput(throughput, window, concurrency, WallClock(), told),
    }
    for part, measured in parts.items():
        if wanted.get(part, 1):
            told(f"measuring {part} ...")
            rows += measured()
            write_plugin(rows, {**origin, "load_after": os.getloadavg()}, out)
    click.echo(f"wrote {out}/README.md and {out}/rows.jsonl")
