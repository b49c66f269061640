"""`dynasor bench online`: programs that arrive at random with deadlines, under every scheduler and allocation.

In the simulator, over recordings; or at real vLLM servers (`online_live`).
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from dynasor.bench.online_arms import ARMS, BASELINES, DYNASOR, arm_of
from dynasor.bench.online_live_arms import ARMS as LIVE_ARMS
from dynasor.bench.online_live_arms import live_arm
from dynasor.bench.online_live_study import LivePlan
from dynasor.bench.online_page import measured, page
from dynasor.bench.online_plots import write_plots
from dynasor.bench.online_rows import OnlineRow, Origin, Rows
from dynasor.bench.online_study import OnlinePlan, OnlineStudy
from dynasor.bench.online_tables import terminal
from dynasor.bench.provenance import provenance
from dynasor.cli.online_live import SAMPLES, LiveWish, run_live
from dynasor.cli.online_live import quick as quick_live
from dynasor.cli.whole_numbers import whole_numbers
from dynasor.errors import UsageError
from dynasor.simulation.models import MODELS

_PAGE = "online.md"
_QUICK = {
    "programs": (100,),
    "seeds": 2,
    "loads": (0.9, 1.3, 2.2),
    "fixed": (0.9,),
    "memories": (),
    "caps": (),
    "scales": (),
    "arms": (*BASELINES[:3], DYNASOR, "+ deadline-aware"),
}


@click.command(short_help="The paper's online evaluation, in the simulator or on a real vLLM.")
@click.argument("traces", nargs=-1)
@click.option(
    "--engine",
    type=click.Choice(["simulator", "vllm"]),
    default="simulator",
    show_default=True,
    help="vllm: real servers on the CPU with the built-in model; no TRACES needed.",
)
@click.option("--arm", "arms", multiple=True, help="Only this one; give several.  [default: all]")
@click.option("--accelerator", default="a100-llama-8b", show_default=True, help=f"{', '.join(MODELS)} or FILE.toml.")
@click.option("--cap", default=20, show_default=True, type=click.IntRange(5), help="The resource cap.")
@click.option(
    "--seeds", type=click.IntRange(1), help="Of arrivals, halves and samples.  [default: 5; vllm: 3]", default=None
)
@click.option(
    "--programs", help="In a run, of each of TRACES; the last recurs.  [default: 300,120,300; vllm: 200]", default=None
)
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1), help="Processes of the simulator.")
@click.option(
    "--slots", default=64, show_default=True, type=click.IntRange(8), help="Sequences that vllm computes at a time."
)
@click.option(
    "--quick",
    is_flag=True,
    help="100 programs, 2 seeds, 3 rates, 5 arms, one cap, all the memory; vllm: 40 programs, 1 seed, 4 arms.",
)
@click.option("--again", multiple=True, metavar="ARM", help="Forget this arm's points and measure them anew.")
@click.option("--no-runs", is_flag=True, help="Measure nothing: make the page of what is done.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Rows.  [default: results/online, or results/online-vllm; quick: runs/... likewise]",
)
@click.option(
    "--page",
    "pages",
    type=click.Path(path_type=Path),
    help="Folder of the page.  [default: docs/results; quick: as --out]",
)
def online(
    traces: tuple[str, ...],
    engine: str,
    arms: tuple[str, ...],
    accelerator: str,
    cap: int,
    seeds: int | None,
    programs: str | None,
    workers: int,
    slots: int,
    quick: bool,
    again: tuple[str, ...],
    no_runs: bool,
    out: Path | None,
    pages: Path | None,
) -> None:
    """Let programs arrive at random, with deadlines by difficulty, and tell who is in time.

    Compared are first come first served, SGLang's LPM and Parrot's App-FIFO with even allocation, Dynasor, Dynasor less
    each of its parts, and what goes beyond the paper: in the simulator, over the recordings TRACES on a modelled
    accelerator; or with --engine vllm on real servers, live, which takes hours and a quiet machine, says how long at
    its start, and writes a page of its own. A point that is done is kept and not measured again, so an interrupted
    evaluation goes on where it was.

    \b
    Examples:
      dynasor bench online svamp --quick
      dynasor bench online svamp ../shared/data/traces/r1-distill-llama-8b__math100_v1.jsonl.zst --workers 4
      dynasor bench online --engine vllm --quick
    """  # noqa: D301
    name = "online-vllm" if engine == "vllm" else "online"
    out = out or Path("runs" if quick else "results") / name
    pages = pages or (out if quick else Path("docs/results"))
    if engine == "vllm":
        live = LivePlan(
            source=_only(traces),
            arms=tuple(live_arm(name).name for name in arms) or tuple(arm.name for arm in LIVE_ARMS),
            programs=_counts(programs or "200")[0],
            cap=cap,
            seeds=seeds or 3,
            slots=slots,
        )
        run_live(
            LiveWish(quick_live(live) if quick else live, again, not no_runs, out, pages), partial(click.echo, err=True)
        )
        return
    if not traces:
        raise UsageError("there are no TRACES; name recordings, such as svamp, or give --engine vllm")
    plan = OnlinePlan(
        sources=traces,
        programs=_counts(programs or "300,120,300"),
        arms=tuple(arm_of(name).name for name in arms) or tuple(arm.name for arm in ARMS),
        accelerator=accelerator,
        cap=cap,
        seeds=seeds or 5,
        workers=workers,
    )
    _simulate(replace(plan, **_QUICK) if quick else plan, again, out, pages, no_runs=no_runs)  # type: ignore[arg-type]


def _simulate(plan: OnlinePlan, again: tuple[str, ...], out: Path, pages: Path, *, no_runs: bool) -> None:
    study = OnlineStudy(plan, Rows(out / "rows.jsonl"))
    study.rows.forget(arm_of(name).name for name in again)
    if not no_runs:
        study.rows.add(Origin({name: str(value) for name, value in provenance().items()}))
    study.prepare()
    if not no_runs:
        _measure(study)
    if not study.mine():
        raise UsageError(f"{out} holds no points of these settings; leave out --no-runs")
    pages.mkdir(parents=True, exist_ok=True)
    (pages / _PAGE).write_text("\n".join(page(study)) + "\n", encoding="utf-8")
    write_plots(study, pages)
    for name, rows in measured(study).items():
        for line in terminal(rows, name, plan.arms, plan.fixed[-1]):
            click.echo(line)
    click.echo(f"wrote {pages / _PAGE}, its plots, and {out}/rows.jsonl")


def _measure(study: OnlineStudy) -> None:
    """All points, the ladders' among them; a kill loses the points under way, and nothing else."""
    total = len({point for ladder in study.ladders() for point in ladder.points} - study.rows.points.keys())
    rows: Iterator[OnlineRow] = study.run()
    for _ in track(rows, "serving", total=total, console=Console(stderr=True)):
        pass
    study.rows.write()


def _only(traces: tuple[str, ...]) -> str:
    if len(traces) > 1:
        raise UsageError(f"--engine vllm asks the problems of one recording, and there are {len(traces)}; give one")
    return traces[0] if traces else SAMPLES


def _counts(text: str) -> tuple[int, ...]:
    return whole_numbers("--programs", text, least=20, why="a run takes at least 20", such="300,120")
