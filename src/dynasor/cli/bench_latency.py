"""`dynasor bench latency`: what fine-grained allocation costs in latency, live."""

import asyncio
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from dynasor.bench.latency_study import Answered, LatencyArm, answered, latency_arms
from dynasor.bench.latency_tables import LatencyRow, latency_rows, write_latency
from dynasor.bench.provenance import provenance
from dynasor.calibration.profile import profiled
from dynasor.cli.whole_numbers import whole_numbers
from dynasor.clock import WallClock
from dynasor.datasets.problem import Problem
from dynasor.datasets.problem_sets import problem_set
from dynasor.datasets.recordings import read_recordings
from dynasor.engines.embedded import EmbeddedEngine
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.programs.program import Setup
from dynasor.programs.prompt import PromptTemplate
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.request import Sampling

SAMPLES = "results/built-in-model/samples.jsonl.gz"
_SAMPLED = 500  # problems of that file: the first of the set, which are therefore not asked here
_ORDERS = 3


@click.command(short_help="What fine-grained allocation costs in latency, live.")
@click.option("--problems", default=60, show_default=True, type=click.IntRange(2), help="How many are answered.")
@click.option("--cap", default=20, show_default=True, type=click.IntRange(6), help="The resource cap.")
@click.option("--at-once", default="1,8", show_default=True, help="Programs at a time.")
@click.option("--samples", default=SAMPLES, show_default=True, help="Recorded samples to fit curves to.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/latency"), show_default=True)
@click.option("--page", type=click.Path(path_type=Path), default=Path("docs/results/latency.md"), show_default=True)
def latency(problems: int, cap: int, at_once: str, samples: str, out: Path, page: Path) -> None:
    """Answer built-in problems under every policy in turn, in rounds and in flight, and compare the latency.

    \b
    Example:
      dynasor bench latency --problems 20 --at-once 1
    """  # noqa: D301
    loads = whole_numbers("--at-once", at_once, why="at least one program runs at a time", such="1,8")
    asked = list(problem_set("words", offset=_SAMPLED, limit=problems))
    setup = Setup(
        cap=cap, prompt=PromptTemplate("{question}", "", True), sampling=Sampling(temperature=0.8, max_tokens=256)
    )
    profiles = profiled(read_recordings(samples), SelfConsistency, setup, orders=_ORDERS)
    arms = latency_arms(profiles)
    rows = [row for load in loads for row in asyncio.run(_measured(setup, arms, asked, load))]
    write_latency(rows, provenance(problems=f"{problems} of words, from {_SAMPLED} on", cap=cap), out, page)
    click.echo(f"wrote {page} and {out}/rows.jsonl")


async def _measured(setup: Setup, arms: list[LatencyArm], asked: list[Problem], load: int) -> list[LatencyRow]:
    engine = EmbeddedEngine(EmbeddedModel(Path("builtin"), slots=8))
    await engine.check()
    found: list[Answered] = []
    try:
        with Progress(console=Console(stderr=True)) as progress:
            task = progress.add_task(f"{load} at a time", total=len(arms) * len(asked))
            async for each in answered(engine, WallClock(), setup, arms, asked, load):
                found.append(each)
                progress.advance(task)
    finally:
        await engine.close()
    return latency_rows(found, load)
