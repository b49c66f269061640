"""`dynasor simulate`: recorded programs on modelled accelerators in virtual time, and models made of live engines."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click

from dynasor.bench.provenance import provenance
from dynasor.cli.simulation_fit import fit_model
from dynasor.cli.simulation_tables import print_arms, write_rows
from dynasor.errors import UsageError
from dynasor.launch.simulating import Machines, arms_of
from dynasor.launch.traffic import Traffic
from dynasor.simulation.arrivals import bursty, replayed
from dynasor.simulation.fitting import Wanted
from dynasor.simulation.fleet import Fault
from dynasor.simulation.host import simulate as simulated
from dynasor.simulation.models import MODELS, model_of


@click.command(short_help="Serve recorded programs on modelled accelerators.")
@click.option("--trace", metavar="FILE|RUN|svamp", help="What is answered: a recording, as for dynasor run.")
@click.option("--cap", default=20, show_default=True, type=click.IntRange(min=1), help="The resource cap.")
@click.option(
    "--algorithm", default="sc", show_default=True, help="One that asks one prompt again and again; probed-cot."
)
@click.option("--policy", "policies", multiple=True, help="How much each program gets; give several to compare them.")
@click.option("--in-flight", is_flag=True, help="Start all branches at once, and cut those that are not needed.")
@click.option(
    "--ordering",
    "orderings",
    multiple=True,
    default=("dynasor",),
    show_default=True,
    help="Which waiting request is next; give several to compare them. See below.",
)
@click.option("--rate", default=4.0, show_default=True, help="Programs a second, on average.")
@click.option("--burstiness", default=1.0, show_default=True, help="Deviation of the gaps over their mean; 1: Poisson.")
@click.option("--arrivals", type=click.Path(path_type=Path), help="Replay arrivals: a file of seconds, one a line.")
@click.option("--programs", default=500, show_default=True, type=click.IntRange(min=1), help="How many come.")
@click.option(
    "--prompt-tokens", type=click.IntRange(min=1), help="Of every prompt.  [default: a 4th of its characters]"
)
@click.option("--slo", "slo_s", type=float, metavar="S", help="Deadline of easy problems; others have twice as long.")
@click.option("--due", is_flag=True, help="Grant less where what the policy grants would be late; see --slo.")
@click.option("--accelerator", default="a100-llama-8b", show_default=True, help=f"{', '.join(MODELS)} or FILE.toml.")
@click.option("--replicas", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--memory", default=1.0, show_default=True, help="Share of the accelerator's memory for the cache.")
@click.option("--sequences", type=click.IntRange(min=1), help="Most that run at once on a replica.  [default: 256]")
@click.option("--step-tokens", type=click.IntRange(min=1), help="Most that a step computes.  [default: 2048]")
@click.option("--front", "front_limit", type=click.IntRange(min=1), metavar="N", help="Schedule in front; see below.")
@click.option("--lru", is_flag=True, help="Evict the least recent prefix, be its program live or not.")
@click.option("--fault", "faults", multiple=True, metavar="I:DIES:BACK", help="Replica I is dead between two seconds.")
@click.option("--seed", default=0, show_default=True, help="Of arrivals, and the order of problems and samples.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON, and nothing else.")
@click.option("--out", type=click.Path(path_type=Path), help="Write a row for every program into this folder.")
@click.option("--fit", metavar="URL|FILE.gguf|builtin", help="Measure a live engine instead; --out is then a .toml.")
@click.option(
    "--most", default=32, show_default=True, type=click.IntRange(min=2), help="With --fit: requests at a time."
)
@click.option(
    "--longest-prompt", default=256, show_default=True, type=click.IntRange(min=32), help="With --fit: words."
)
@click.option(
    "--most-error", default=0.1, show_default=True, help="With --fit: refuse a model that is off by more, on average."
)
@click.option("--api-key-variable", default="OPENAI_API_KEY", show_default=True, help="With --fit.")
def simulate(**given: Any) -> None:
    """Serve recorded programs in virtual time, with the sessions, policies and scheduler that serve live ones.

    What is answered comes from a recording, when from a model of an accelerator: continuous batching, chunked prompts,
    a paged cache with shared prefixes, preemption. All arms of a call see the same programs at the same instants, and
    the same call gives the same figures. Modelled are the A100 and the H100 with Llama-3.1-8B, or what --fit measured.

    \b
    Orderings, joined by +, each wrapping what follows:
      dynasor   aging:patience=8+sjf
      fcfs      request by request, as engines do     prefix    longest cached prefix (SGLang)
      app-fifo  program by program (Parrot)           gang      finish what was begun
      sjf       fewest estimated tokens left          attained  fewest tokens so far (Autellix)
      edf, slack  by deadline (--slo)                 oracle    fewest real tokens left, which nobody knows

    With --front N the scheduler stands in front of engines that are first come, first served, and lets N requests
    through to each at a time; without it, it stands inside them.

    \b
    Examples:
      dynasor simulate --trace svamp --rate 20 --ordering fcfs --ordering app-fifo --ordering dynasor
      dynasor simulate --trace svamp --policy even --policy static:threshold=0.7,detect_at=5 --rate 6 --slo 4
      dynasor simulate --trace svamp --replicas 4 --rate 60 --fault 2:10:20 --json
      dynasor simulate --fit http://localhost:8000/v1 --out model.toml
      dynasor simulate --trace svamp --accelerator model.toml --rate 0.2 --programs 50
    """  # noqa: D301
    if given["fit"] is not None:
        fit_model(
            given["fit"],
            out=given["out"] or Path("model.toml"),
            wanted=Wanted(given["most"], given["longest_prompt"], most_error=given["most_error"]),
            sequences=given["sequences"],
            step_tokens=given["step_tokens"],
            api_key_variable=given["api_key_variable"],
        )
        return
    if given["trace"] is None:
        raise UsageError("nothing to simulate: give a recording by --trace (try --trace svamp), or an engine by --fit")
    arms = arms_of(_traffic(given), _machines(given), given["policies"] or (None,), given["orderings"])
    runs = [(arm.name, simulated(arm.plan)) for arm in arms]
    if given["out"] is not None:
        write_rows(runs, provenance(options={name: _plain(value) for name, value in given.items()}), given["out"])
    if as_json := given["as_json"]:
        click.echo(json.dumps({name: run.summary() for name, run in runs}, indent=2, allow_nan=False))
    else:
        print_arms(runs)
    if given["out"] is not None and not as_json:
        click.echo(f"wrote {given['out']}/rows.jsonl")


def _traffic(given: dict[str, Any]) -> Traffic:
    names = ("trace", "programs", "algorithm", "cap", "in_flight", "prompt_tokens", "slo_s", "due", "seed")
    return Traffic(arrivals=_arrivals(given), **{name: given[name] for name in names})


def _arrivals(given: dict[str, Any]) -> Callable[[], Iterator[float]]:
    if given["arrivals"] is not None:
        instants = _instants(given["arrivals"])
        return lambda: replayed(instants)
    drawn = partial(bursty, given["rate"], given["burstiness"], given["seed"])
    next(drawn())  # refuses now what cannot be
    return drawn


def _instants(file: Path) -> list[float]:
    try:
        return [float(line) for line in file.read_text(encoding="utf-8").split()]
    except (OSError, UnicodeDecodeError) as fault:
        raise UsageError(f"cannot read {file}: {fault}; give a file of seconds, one a line") from fault
    except ValueError as fault:
        raise UsageError(f"{file} holds something that is no number of seconds: {fault}") from fault


def _machines(given: dict[str, Any]) -> Machines:
    names = ("replicas", "memory", "sequences", "step_tokens", "front_limit")
    return Machines(
        model=model_of(given["accelerator"]),
        keeps_live=not given["lru"],
        faults=tuple(map(_fault, given["faults"])),
        **{name: given[name] for name in names},
    )


def _fault(text: str) -> Fault:
    try:
        replica, dies_at, back_at = text.split(":")
        return Fault(int(replica), float(dies_at), float(back_at))
    except ValueError as fault:
        raise UsageError(f"--fault is '{text}'; write replica, seconds, seconds, such as 0:10:20") from fault


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value
