"""`dynasor demo`: even allocation against certaindex, side by side, live."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from dynasor.bench.runs import load_run
from dynasor.bench.wording import problems as problems_in_words
from dynasor.cli.live_screen import Screen
from dynasor.cli.live_stop import INTERRUPTED, UNFINISHED, run_together
from dynasor.cli.report import report
from dynasor.clock import WallClock
from dynasor.errors import UsageError
from dynasor.launch.launch import Launch, arun, prepare
from dynasor.launch.options import RunOptions
from dynasor.request import Sampling
from dynasor.wiring import DECIDED_OR_CERTAIN

BUILTIN = "builtin"
PROBLEMS = "words"  # the set that the built-in model was made for; none of it was in its training
ARMS: Mapping[str, str] = {"even": "even", "certaindex": DECIDED_OR_CERTAIN}
CURVE = (5, 10, 20)
TEMPERATURE = 0.8  # what the figures on the model card were taken at


@dataclass(frozen=True, slots=True)
class Demo:
    """What is to be shown.

    Attributes:
        trace: a recording that answers in place of the model.

    Raises:
        UsageError: for a recording and a model together.
    """

    model: str | None
    trace: str | None
    problems: int
    cap: int
    seed: int
    out: Path

    def __post_init__(self) -> None:
        """Refuse what would be ignored."""
        if self.trace and self.model:
            raise UsageError("--model answers live and --trace from a recording; give one of them")

    def options(self, arm: str) -> RunOptions:
        """The run of one arm; with seeds, so that both draw the same branches as far as the engine repeats itself."""
        source: dict[str, Any] = {"problems": PROBLEMS, "model": self.model or BUILTIN, "seeded_requests": True}
        source["sampling"] = Sampling(temperature=TEMPERATURE)
        if self.trace is not None:
            source = {"trace": self.trace}
        return RunOptions(**source, **self._shared(self.cap), policy=ARMS[arm], out=self.out / arm)

    def replay(self, arm: str, cap: int, digest: str) -> dict[str, Any]:
        """The same arm at a smaller cap, on branches that are paid for; the digest is of the run that paid."""
        out = self.out / f"replays-{digest[:8]}" / f"{arm}-{cap}"
        trace = self.trace or str(self.out / "even")
        return {"trace": trace, **self._shared(cap), "policy": ARMS[arm], "out": out}

    @property
    def title(self) -> str:
        """What is going on, in a line."""
        who = f"a recording ({self.trace})" if self.trace else f"the model {self.model or BUILTIN}, live"
        return f"{problems_in_words(self.problems)}, up to {self.cap} branches each, answered by {who}"

    def _shared(self, cap: int) -> dict[str, Any]:
        return {"limit": self.problems, "cap": cap, "seed": self.seed}


@click.command(short_help="Even allocation against certaindex, live, side by side.")
@click.option("--problems", type=click.IntRange(min=2), default=200, show_default=True, help="How many problems.")
@click.option("--cap", default=20, show_default=True, help="The most branches of one problem; at least 5.")
@click.option("--model", metavar="builtin|FILE.gguf", help="Who answers, in this process.  [default: builtin]")
@click.option("--trace", metavar="FILE|RUN|svamp", help="Let a recording answer in place of a model.")
@click.option("--seed", default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/demo"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON, and nothing else.")
@click.option("--quiet", is_flag=True, help="Show nothing while it runs.")
def demo(as_json: bool, quiet: bool, **given: Any) -> None:
    """Answer the same word problems twice, side by side: with all branches, and with as many as certaindex asks for.

    Both are runs of their own, OUT/even and OUT/certaindex: kill it, and the same command goes on from there.
    It ends with a table, and a page with the curves.

    \b
    Examples:
      dynasor demo                              200 problems that the model has never seen
      dynasor demo --problems 40 --cap 10       a shorter one
      dynasor demo --model my-model.gguf        another model in this process
      dynasor demo --trace svamp --problems 999 --cap 30    a recording of a large one

    \b
    What one sees:
      saved        of the tokens of even allocation, on the problems that both have answered
      certaindex   how far the answers of a program agree, from 0 to 1
      landed, cut, granted   branches that have ended, that were aborted, that it may draw so far
      votes        the leading answers, and how many branches gave each
    """  # noqa: D301
    plan = Demo(**given)
    clock = WallClock()
    began_at = clock.now()
    screen = Screen(plan.title, quiet=quiet or as_json)
    launches = asyncio.run(_answer(plan, screen))
    _leave_unless_complete(launches)
    smaller = asyncio.run(_replay(plan))
    runs = (plan.out / "even", plan.out / "certaindex", *smaller)
    out = plan.out / "report"
    click.get_current_context().invoke(report, runs=runs, out=out, baseline=None, as_json=as_json, figures=True)
    click.echo(_provenance(plan, smaller, clock.now() - began_at), err=as_json)


async def _answer(plan: Demo, screen: Screen) -> list[Launch]:
    """Run both arms at the same time, each with an engine of its own."""
    async with AsyncExitStack() as prepared:
        launches: list[Launch] = []
        for arm in ARMS:
            launch = await prepare(plan.options(arm))
            prepared.push_async_callback(launch.resources.aclose)
            screen.watch(arm, launch)
            launches.append(launch)
        screen.begin()
        prepared.callback(screen.end)
        await run_together(launches, screen.say)
    return launches


async def _replay(plan: Demo) -> list[Path]:
    """The points of the curves at smaller caps; they cost seconds, for nothing is drawn anew."""
    digest = load_run(plan.out / "even").journal_digest
    made = []
    for cap in (cap for cap in CURVE if cap < plan.cap):
        for arm in ARMS:
            options = plan.replay(arm, cap, digest)
            await arun(**options)
            made.append(options["out"])
    return made


def _leave_unless_complete(launches: Sequence[Launch]) -> None:
    """Say what is left, and leave with a code that tells."""
    if all(launch.batch.complete for launch in launches):
        return
    done = ", ".join(
        f"{launch.directory}: {launch.batch.tally.finished} of {launch.problem_count}" for launch in launches
    )
    faults = [fault for launch in launches for fault in launch.batch.stalled.values()]
    why = f"some problems are unfinished ({faults[0]})" if faults else "stopped"
    click.echo(f"dynasor: {why}. Problems done: {done}; the same command goes on from here", err=True)
    raise SystemExit(UNFINISHED if faults else INTERRUPTED)


def _provenance(plan: Demo, smaller: Sequence[Path], took_s: float) -> str:
    """What was live and what was not."""
    took = f"it took {took_s:.0f} s"
    if plan.trace:
        return f"nothing was live: all of it replays {plan.trace}; {took}"
    replayed = f"; at smaller caps, the branches of {plan.out / 'even'} were replayed" if smaller else ""
    return f"live: all branches at cap {plan.cap}{replayed}; {took}"
