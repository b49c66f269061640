"""`dynasor bench fidelity`: the simulator against a live engine, on a workload that its model was not fitted on."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import track

from dynasor.bench.fidelity import (
    Fidelity,
    Pairs,
    Place,
    SessionOf,
    at_pace,
    capacity_of,
    pace_of,
    pooled,
    replayed,
    served,
)
from dynasor.bench.provenance import provenance
from dynasor.bench.round_robin import round_robin
from dynasor.cli.simulation_fit import engine_of
from dynasor.clock import WallClock
from dynasor.datasets.problem_sets import problem_set
from dynasor.engines.engine import Engine
from dynasor.errors import UsageError
from dynasor.programs.program import Setup
from dynasor.programs.prompt import PromptTemplate
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.request import Sampling
from dynasor.scheduling.specification import make_ordering
from dynasor.simulation.arrivals import poisson
from dynasor.simulation.models import Model, model_of
from dynasor.wiring import make_policy, session_maker

_BUSY = 0.85
_BURST = 12  # programs, from which is found what the model can do
_PACE = 0.1


@dataclass(frozen=True, slots=True)
class Arm:
    """What is compared: a policy, and who orders what waits."""

    policy: str
    place: str

    def placed(self) -> Place:
        """`engine`, or an ordering with how many requests it lets through, such as `dynasor:8`."""
        if self.place == "engine":
            return Place(make_ordering("fcfs", lambda waiting: 0)[0])
        name, _, limit = self.place.rpartition(":")
        if not name or not limit.isdecimal() or not int(limit):
            raise UsageError(f"--order is '{self.place}'; write engine, or an ordering and a number, such as dynasor:8")
        return Place(make_ordering(name, lambda waiting: 0)[0], int(limit))


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One arm.

    Attributes:
        rate: programs a second.
        mean_error, p90_error: of the model as it was fitted.
        paced_mean_error, paced_p90_error: of the model at each run's pace, the mean of that before it and after it.
        paces: how long experiments took, over what the model says: before each run of this arm, and after it.
    """

    rate: float
    policy: str
    order: str
    mean_error: float
    p90_error: float
    paced_mean_error: float
    paced_p90_error: float
    paces: list[float]
    figures: Fidelity
    paced: Fidelity


@dataclass(frozen=True, slots=True)
class _Study:
    engine: Engine
    model: Model
    rate: float | None
    load: float
    programs: int
    cap: int

    async def run(self, arms: list[Arm], seeds: range) -> list[Row]:
        runs: dict[Arm, list[Pairs]] = {arm: [] for arm in arms}
        paced: dict[Arm, list[Pairs]] = {arm: [] for arm in arms}
        paces: dict[Arm, list[float]] = {arm: [] for arm in arms}
        await pace_of(self.engine, WallClock(), self.model)  # what comes first may be slow
        pace = await pace_of(self.engine, WallClock(), self.model)
        rate = self.rate or self.load * await self._capacity(arms[0])
        for seed, arm in track(list(product(seeds, arms)), "runs", console=Console(stderr=True)):
            arrivals = list(islice(poisson(rate, seed), self.programs))
            session = self._session(arm)
            lived = await served(self.engine, WallClock(), session, arrivals, arm.placed())
            before, pace = pace, await pace_of(self.engine, WallClock(), self.model)
            paces[arm] += [before, pace]
            runs[arm].append(replayed(lived, session, self.model, arm.placed()))
            now = at_pace(self.model, (before + pace) / 2)
            paced[arm].append(replayed(lived, session, now, arm.placed()))
        return [_row(arm, rate, pooled(runs[arm]), pooled(paced[arm]), paces[arm]) for arm in arms]

    async def _capacity(self, arm: Arm) -> float:
        return await capacity_of(
            self.engine, WallClock(), self._session(arm), min(_BURST, self.programs), self.model, arm.placed()
        )

    def _session(self, arm: Arm) -> SessionOf:
        problems = list(problem_set("words", limit=self.programs))
        setup = Setup(
            cap=self.cap,
            prompt=PromptTemplate("{question}", chat=False),
            sampling=Sampling(temperature=0.8, max_tokens=256),
        )
        session = session_maker(SelfConsistency, setup, make_policy(arm.policy)[0], in_flight=False)
        return lambda i: session(problems[i])


def _row(arm: Arm, rate: float, found: Fidelity, paced: Fidelity, paces: list[float]) -> Row:
    return Row(
        rate=rate,
        policy=arm.policy,
        order=arm.place,
        mean_error=found.mean_error,
        p90_error=found.p90_error,
        paced_mean_error=paced.mean_error,
        paced_p90_error=paced.p90_error,
        paces=paces,
        figures=found,
        paced=paced,
    )


@click.command()
@click.argument("engine", metavar="URL|FILE.gguf|builtin")
@click.option("--model", "model_file", required=True, metavar="FILE.toml", help="What dynasor simulate --fit wrote.")
@click.option("--load", default=0.6, show_default=True, help="Arrivals over what the model does with a burst.")
@click.option("--rate", type=float, help="Programs a second, Poisson, instead of --load.")
@click.option("--programs", default=60, show_default=True, type=click.IntRange(min=2), help="Built-in word problems.")
@click.option("--cap", default=10, show_default=True, type=click.IntRange(min=5))
@click.option(
    "--policy",
    "policies",
    multiple=True,
    default=("static:threshold=0.7,detect_at=5",),
    show_default=True,
    help="Give several to compare each.",
)
@click.option(
    "--order",
    "orders",
    multiple=True,
    default=("engine",),
    show_default=True,
    help="engine, or ORDERING:N: in front, N let through. Give several.",
)
@click.option(
    "--repeats", default=1, show_default=True, type=click.IntRange(min=1), help="Of all arms in turns, other arrivals."
)
@click.option("--seed", default=0, show_default=True, help="Of the arrivals of the first turn.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/simulation/fidelity.jsonl"))
def fidelity(
    engine: str,
    model_file: str,
    policies: tuple[str, ...],
    orders: tuple[str, ...],
    repeats: int,
    seed: int,
    out: Path,
    **given: float | None,
) -> None:
    """Serve word problems live, then in virtual time on a fitted model, and compare the latencies of the programs.

    Before and after every run, a few experiments tell whether the machine still is what the model was fitted on.

    \b
    Examples:
      dynasor simulate --fit builtin --most 8 --longest-prompt 128 --out model.toml
      dynasor bench fidelity builtin --model model.toml
      dynasor bench fidelity http://localhost:8000/v1 --model model.toml --order engine --order dynasor:16 --policy even
    """  # noqa: D301
    arms = [Arm(make_policy(policy)[1], order) for policy, order in product(policies, orders)]
    for arm in arms:
        arm.placed()  # refuses now what cannot be
    for name in ("load", "rate"):
        if (value := given[name]) is not None and not value > 0:
            raise UsageError(f"--{name} is {value:g}; it must be above 0")
    model = model_of(model_file)
    with round_robin() as turns:
        rows = asyncio.run(_served(engine, model, arms, range(seed, seed + repeats), given))
    out.parent.mkdir(parents=True, exist_ok=True)
    origin = provenance(engine=engine, model=model_file, strict_turns=turns, **given)
    out.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in (origin, *rows)))
    for row in rows:
        for line in _told(row):
            click.echo(line)
    click.echo(f"wrote {out}")


async def _served(
    source: str, model: Model, arms: list[Arm], seeds: range, given: dict[str, float | None]
) -> list[Row]:
    engine = engine_of(source, model.limits.sequences, connections=1024)
    await engine.check()
    try:
        study = _Study(
            engine, model, given["rate"], given["load"] or 0.0, int(given["programs"] or 0), int(given["cap"] or 0)
        )
        return await study.run(arms, seeds)
    finally:
        await engine.close()


def _told(row: Row) -> Iterator[str]:
    found, low, high = row.figures, min(row.paces), max(row.paces)
    yield (
        f"{row.order}, {row.policy}, {row.rate:.2g} programs/s: {found.programs} programs of {found.requests} requests"
        f" and {found.tokens:,} tokens"
    )
    yield (
        f"  mean latency {found.live_mean_s:.3f} s live, {found.simulated_mean_s:.3f} s simulated"
        f" ({100 * row.mean_error:+.1f} %); P90 {found.live_p90_s:.3f} s live, {found.simulated_p90_s:.3f} s simulated"
        f" ({100 * row.p90_error:+.1f} %)"
    )
    yield f"  the engine took {low:.2f} to {high:.2f} of what the model says, and was busy {found.utilisation:.0%}"
    if low < 1 - _PACE or high > 1 + _PACE:
        yield "  not the machine that was fitted: other work runs on it, now or then; fit again when it is quiet"
        yield (
            f"  at the pace of each run: mean {row.paced.simulated_mean_s:.3f} s ({100 * row.paced_mean_error:+.1f} %),"
            f" P90 {row.paced.simulated_p90_s:.3f} s ({100 * row.paced_p90_error:+.1f} %)"
        )
    if found.utilisation > _BUSY:
        yield "  so busy that small errors of a step are great ones of a latency; a lower --load tells more"
