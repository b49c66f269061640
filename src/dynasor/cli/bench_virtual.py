"""`dynasor bench virtual`: the simulator against vLLM's own scheduler, without the noise of a machine."""

from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import track

from dynasor.bench.provenance import provenance
from dynasor.bench.virtual_rows import VirtualRow
from dynasor.cli.whole_numbers import whole_numbers
from dynasor.errors import UsageError
from dynasor.launch.virtual_study import VirtualPlan, by_arm, run_virtual

_OUT = Path("results/simulation/virtual.jsonl")


@click.command()
@click.argument("traces", nargs=-1)
@click.option("--programs", default="200,40", show_default=True, help="Of each of TRACES; the last recurs.")
@click.option("--load", "loads", multiple=True, default=(0.7, 0.95), show_default=True, help="Give several.")
@click.option("--room", default=10, show_default=True, type=click.IntRange(1), help="Longest requests in short memory.")
@click.option("--cap", default=20, show_default=True, type=click.IntRange(5), help="The resource cap.")
@click.option("--seed", default=0, show_default=True, help="Of arrivals and samples.")
@click.option("--out", type=click.Path(path_type=Path), default=_OUT, show_default=True)
def virtual(
    traces: tuple[str, ...], programs: str, loads: tuple[float, ...], room: int, cap: int, seed: int, out: Path
) -> None:
    """Serve recorded programs twice in virtual time: by the simulated engine, and by vLLM's own scheduler.

    Both see the same programs, arrivals, policies, scheduler in front and time of a step. What differs is who decides
    what each step computes, so the figures tell how exact the simulated engine is, on a machine however noisy. The
    arms `inside` hold the scheduler that is simulated inside an engine against the plug-in inside vLLM's. Each
    arm is served with the modelled memory, and with so little that requests are preempted. TRACES are recordings, by
    default svamp. vLLM is set up by scripts/vllm-environment.

    \b
    Examples:
      dynasor bench virtual svamp --programs 50 --load 0.9
      dynasor bench virtual svamp ../shared/data/traces/r1-distill-llama-8b__math100_v1.jsonl.zst
    """  # noqa: D301
    for load in loads:
        if not load > 0:
            raise UsageError(f"--load is {load:g}; it must be above 0")
    plan = VirtualPlan(traces=_counted(traces or ("svamp",), programs), loads=loads, room=room, cap=cap, seed=seed)
    rows = list(track(run_virtual(plan), "serving", total=plan.size, console=Console(stderr=True)))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in (provenance(), *rows)))
    for (name, short), found in by_arm(rows).items():
        click.echo(f"{name}, {'memory short' if short else 'all memory'}:")
        for row in found:
            click.echo(_line(row))
    click.echo(f"wrote {out}")


def _line(row: VirtualRow) -> str:
    arm, here, there = row.arm, row.simulated, row.vllm
    where = " inside" if arm.inside else ""
    name = f"{arm.ordering}{where}, {arm.policy.partition(':')[0]}{' in flight' if arm.in_flight else ''}"
    return (
        f"  {name:<26}"
        f" load {arm.load:g}: mean {there.mean_s:8.3f} s ({100 * row.mean_error:+.2f} %),"
        f" P90 {there.p90_s:8.3f} s ({100 * row.p90_error:+.2f} %),"
        f" {there.steps:,} steps ({here.steps - there.steps:+,}), {there.preemptions:,} preemptions"
    )


def _counted(traces: tuple[str, ...], text: str) -> tuple[tuple[str, int], ...]:
    counts = whole_numbers("--programs", text, least=2, why="it takes at least 2", such="200,40")
    return tuple((trace, counts[min(place, len(counts) - 1)]) for place, trace in enumerate(traces))
