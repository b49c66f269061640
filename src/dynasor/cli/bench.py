"""`dynasor bench`: the committed results, regenerated."""

import os
from functools import partial
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import track

from dynasor.bench.algorithm_arms import full_arms, quick_arms, server_arms
from dynasor.bench.algorithm_journals import Journals
from dynasor.bench.algorithm_plots import write_figure
from dynasor.bench.algorithm_study import AlgorithmPlan, summed_up
from dynasor.bench.algorithm_tables import FIGURE, write_algorithms
from dynasor.bench.engine_backends import BACKENDS, VERSIONS
from dynasor.bench.engine_study import CONDITIONS, EnginePlan, run_engines
from dynasor.bench.gain_study import CAUTION, GainPlan, run_gain
from dynasor.bench.gain_tables import write_gain
from dynasor.bench.policy_study import CAPS, ORDERS, StudyPlan, run_study
from dynasor.bench.policy_tables import write_study
from dynasor.bench.provenance import provenance
from dynasor.bench.runner_speed import SIZES, Measured, measure, measure_in_process
from dynasor.bench.trace_study import TracePlan, run_traces
from dynasor.bench.trace_tables import write_traces
from dynasor.cli.algorithm_runs import run_arms
from dynasor.cli.algorithm_tables import print_algorithms
from dynasor.cli.bench_budget import budget
from dynasor.cli.bench_coverage import coverage
from dynasor.cli.bench_drift import drift
from dynasor.cli.bench_fidelity import fidelity
from dynasor.cli.bench_gateway import gateway
from dynasor.cli.bench_latency import latency
from dynasor.cli.bench_offline import offline
from dynasor.cli.bench_online import online
from dynasor.cli.bench_orderings import orderings, queue
from dynasor.cli.bench_plugin import plugin
from dynasor.cli.bench_signals import signals
from dynasor.cli.bench_simulator import simulator
from dynasor.cli.bench_virtual import virtual
from dynasor.cli.engine_tables import print_engines
from dynasor.cli.trace_files import trace_files
from dynasor.cli.whole_numbers import whole_numbers
from dynasor.clock import WallClock
from dynasor.errors import UsageError
from dynasor.wiring import make_policy


@click.group(short_help="Regenerate the committed results.")
def bench() -> None:
    """Regenerate the committed results; each command says where it writes."""


bench.add_command(budget)
bench.add_command(drift)


@bench.command()
@click.argument("traces", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--caps", default=",".join(map(str, CAPS)), show_default=True, help="Resource caps.")
@click.option("--orders", default=ORDERS, show_default=True, help="Seeded orders of every problem's samples.")
@click.option("--workers", default=2, show_default=True, help="Processes.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/policies"), show_default=True)
def policies(traces: tuple[Path, ...], caps: str, orders: int, workers: int, out: Path) -> None:
    """Compare the allocation policies on TRACES, files or folders of them: accuracy and tokens, with intervals.

    \b
    Example:
      dynasor bench policies ../shared/data/traces
    """  # noqa: D301
    plan = StudyPlan(
        trace_files(traces), whole_numbers("--caps", caps), _positive("orders", orders), _positive("workers", workers)
    )
    console = Console(stderr=True)
    studies = list(track(run_study(plan), "replaying", total=len(plan.traces), console=console))
    write_study(studies, provenance(seeds=f"0 to {orders - 1}"), out)
    click.echo(f"wrote {out}/README.md and {out}/rows.jsonl")


@bench.command()
@click.option("--sizes", default=",".join(map(str, SIZES)), show_default=True, help="Numbers of problems.")
@click.option("--policy", default="static:threshold=0.7,detect_at=5", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/runner.jsonl"), show_default=True)
@click.option("--one", type=int, hidden=True, help="Measure one size in this process and print it.")
def runner(sizes: str, policy: str, out: Path, one: int | None) -> None:
    """Measure what the batch runner costs by itself, with an engine that answers at once."""
    made, _ = make_policy(policy)
    if one is not None:
        click.echo(msgspec.json.encode(measure_in_process(one, made)))
        return
    found = [measure(size, policy) for size in whole_numbers("--sizes", sizes)]
    out.parent.mkdir(parents=True, exist_ok=True)
    lines = [provenance(policy=policy), *found]
    out.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    for measured in found:
        click.echo(_told(measured))


@bench.command()
@click.option("--engine", type=click.Choice([*BACKENDS, "both"]), default="both", show_default=True)
@click.option("--repeats", default=5, show_default=True, help="Windows of tokens a second, for each concurrency.")
@click.option("--window", default=3, show_default=True, help="Seconds of a window.")
@click.option("--cancels", default=20, show_default=True, help="Streams that are cancelled.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/engines.jsonl"), show_default=True)
def engines(engine: str, repeats: int, window: int, cancels: int, out: Path) -> None:
    """Compare the embedded engine with a vLLM server on the CPU, both with the built-in model.

    Tokens a second; how soon a cancelled stream gives up its slot; what runs on where streams are abandoned. It takes
    about four minutes and two free cores; vLLM is set up by scripts/vllm-environment.
    """
    names = tuple(BACKENDS) if engine == "both" else (engine,)
    plan = EnginePlan(names, _positive("repeats", repeats), _positive("window", window), _positive("cancels", cancels))
    versions = {name: VERSIONS[name]() for name in names}
    before = os.getloadavg()
    found = run_engines(plan, WallClock(), partial(click.echo, err=True))
    origin = provenance(engines=versions, plan=plan, load_before=before, load_after=os.getloadavg(), **CONDITIONS)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in (origin, *found)))
    print_engines(found)


@bench.command()
@click.option("--engine", type=click.Choice([*BACKENDS, "both"]), default="both", show_default=True)
@click.option("--problems", type=int, help="The first so many built-in problems.  [default: 300; quick: 40]")
@click.option("--arms", help="Run only these, with commas between them.  [default: all]")
@click.option("--seed", default=0, show_default=True)
@click.option("--quick", is_flag=True, help="A few small arms on the embedded engine; two minutes.")
@click.option("--no-runs", is_flag=True, help="Run nothing: read the journals that are there, and draw.")
@click.option("--out", type=click.Path(path_type=Path), help="[default: results/algorithms; quick: runs/algorithms]")
def algorithms(
    engine: str, problems: int | None, arms: str | None, seed: int, quick: bool, no_runs: bool, out: Path | None
) -> None:
    """Compare all algorithms live, with the built-in models: accuracy against tokens, with intervals.

    An interrupted study goes on where it was, arm by arm and problem by problem; an arm that is done is not run again.
    Two studies with different --arms may run side by side in one folder; the figures are those of all that is done.

    \b
    Example:
      dynasor bench algorithms --engine embedded --arms branches,rebase-16-reward
    """  # noqa: D301
    out = out or Path("runs" if quick else "results") / "algorithms"
    engines = ("embedded",) if quick else tuple(BACKENDS) if engine == "both" else (engine,)
    known = {name: quick_arms() if quick else server_arms() if name == "vllm" else full_arms() for name in engines}
    count = _positive("problems", (40 if quick else 300) if problems is None else problems)
    whole = AlgorithmPlan(known, count, seed, Journals(out))
    if not no_runs:
        run_arms(whole.only(arms.split(",")) if arms else whole, partial(click.echo, err=True))
    rows = summed_up(whole)
    write_algorithms(rows, provenance(seed=seed, problems=f"the first {count} of words"), out)
    write_figure(rows, out / FIGURE)
    print_algorithms(rows)
    click.echo(f"wrote {out}/README.md, {out}/rows.jsonl and {out}/{FIGURE}")


@bench.command()
@click.argument("traces", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--orders", default=10, show_default=True, help="Seeded orders of every problem's samples.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/gain"), show_default=True)
def gain(traces: tuple[Path, ...], orders: int, out: Path) -> None:
    """Compare stopping by expected gain with the rules that learn nothing; fitted on one half, judged on the other."""
    plan = GainPlan(trace_files(traces), orders=_positive("orders", orders))
    studies = list(track(run_gain(plan), "replaying", total=len(plan.traces), console=Console(stderr=True)))
    origin = provenance(seeds=f"0 to {orders - 1}", prices=plan.prices, weight=CAUTION.weight, errors=CAUTION.errors)
    write_gain(studies, origin, out)
    click.echo(f"wrote {out}/README.md and {out}/rows.jsonl")


@bench.command()
@click.argument("traces", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--problems", type=click.Path(path_type=Path), help="Folder of humaneval.jsonl and cruxeval.jsonl.")
@click.option("--orders", default=ORDERS, show_default=True, help="Seeded orders of every problem's samples.")
@click.option("--probe-tokens", default=20, show_default=True, help="What a probe costs, where it was not recorded.")
@click.option("--judge-code", is_flag=True, help="Run recorded programs, in a sandbox, to group them by behaviour.")
@click.option("--quick", is_flag=True, help="Two orders, and run no programs.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/traces"), show_default=True)
def traces(
    traces: tuple[Path, ...],
    problems: Path | None,
    orders: int,
    probe_tokens: int,
    judge_code: bool,
    quick: bool,
    out: Path,
) -> None:
    """Evaluate recorded probed chains, paths with rewards, and code, as TRACES (files or folders) hold them.

    Samples of code are compared where --problems holds what they answer; by behaviour only with --judge-code.

    \b
    Example:
      dynasor bench traces ../shared/data/traces --problems ../shared/data/problems --quick
    """  # noqa: D301
    files = trace_files(traces)
    orders = 2 if quick else _positive("orders", orders)
    plan = TracePlan(files, problems, orders, _positive("probe-tokens", probe_tokens), judge_code and not quick)
    console = Console(stderr=True)
    studies = list(track(run_traces(plan), "replaying", total=len(files), console=console))
    write_traces(studies, provenance(seeds=f"0 to {orders - 1}"), out)
    click.echo(f"wrote {out}/README.md and {out}/rows.jsonl")


bench.add_command(coverage)
bench.add_command(latency)
bench.add_command(offline)
bench.add_command(online)
bench.add_command(plugin)
bench.add_command(signals)
bench.add_command(fidelity)
bench.add_command(gateway)
bench.add_command(simulator)
bench.add_command(virtual)
bench.add_command(orderings)
bench.add_command(queue)


def _told(measured: Measured) -> str:
    return (
        f"{measured.problems:>9,} problems, {measured.branches:>9,} branches:"
        f" {measured.programs_per_s:>8,.0f} programs/s,"
        f" {measured.us_per_branch:5.1f} us a branch ({measured.ratio:.1f} x the sessions alone),"
        f" peak {measured.peak_mib:.0f} MiB"
    )


def _positive(name: str, number: int) -> int:
    if number < 1:
        raise UsageError(f"--{name} is {number}; it must be at least 1")
    return number
