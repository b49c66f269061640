"""`dynasor bench fidelity`: the simulator against a live engine, on a workload that its model was not fitted on."""

import asyncio
from itertools import islice
from pathlib import Path

import click
import msgspec

from dynasor.bench.fidelity import Fidelity, SessionOf, compared
from dynasor.bench.provenance import provenance
from dynasor.clock import WallClock
from dynasor.datasets.problem_sets import problem_set
from dynasor.engines.embedded import EmbeddedEngine
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.programs.program import Setup
from dynasor.programs.prompt import PromptTemplate
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.request import Sampling
from dynasor.simulation.arrivals import poisson
from dynasor.simulation.models import model_of
from dynasor.wiring import make_policy, session_maker


@click.command()
@click.argument("engine", metavar="URL|FILE.gguf|builtin")
@click.option("--model", "model_file", required=True, metavar="FILE.toml", help="What dynasor simulate --fit wrote.")
@click.option("--rate", default=2.0, show_default=True, help="Programs a second, Poisson.")
@click.option("--programs", default=60, show_default=True, type=click.IntRange(min=2), help="Built-in word problems.")
@click.option("--cap", default=10, show_default=True, type=click.IntRange(min=5))
@click.option("--policy", default="static:threshold=0.7,detect_at=5", show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/simulation/fidelity.jsonl"))
def fidelity(
    engine: str, model_file: str, rate: float, programs: int, cap: int, policy: str, seed: int, out: Path
) -> None:
    """Serve word problems live, then in virtual time on a fitted model, and compare the latencies of the programs.

    \b
    Example:
      dynasor simulate --fit builtin --most 8 --longest-prompt 128 --out model.toml
      dynasor bench fidelity builtin --model model.toml
    """  # noqa: D301
    model = model_of(model_file)
    problems = list(problem_set("words", limit=programs))
    made, canonical = make_policy(policy)
    setup = Setup(
        cap=cap, prompt=PromptTemplate("{question}", chat=False), sampling=Sampling(temperature=0.8, max_tokens=256)
    )
    session = session_maker(SelfConsistency, setup, made, in_flight=False)
    arrivals = list(islice(poisson(rate, seed), len(problems)))
    served = _engine(engine, model.limits.sequences)
    found = asyncio.run(_run(served, lambda number: session(problems[number]), arrivals, model_file))
    out.parent.mkdir(parents=True, exist_ok=True)
    origin = provenance(engine=engine, model=model_file, policy=canonical, rate=rate, cap=cap)
    errors = {"mean_error": found.mean_error, "p90_error": found.p90_error}
    rows = [origin, msgspec.to_builtins(found) | errors]
    out.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    click.echo(
        f"{found.programs} programs of {found.requests} requests and {found.tokens:,} tokens in all\n"
        f"mean latency {found.live_mean_s:.3f} s live, {found.simulated_mean_s:.3f} s simulated"
        f" ({100 * found.mean_error:+.1f} %)\n"
        f"P90 {found.live_p90_s:.3f} s live, {found.simulated_p90_s:.3f} s simulated ({100 * found.p90_error:+.1f} %)\n"
        f"wrote {out}"
    )


def _engine(source: str, slots: int) -> OpenAIEngine | EmbeddedEngine:
    if source.startswith(("http://", "https://")):
        return OpenAIEngine(Endpoint(source, api="completions"))
    return EmbeddedEngine(EmbeddedModel(Path(source), api="completions", slots=slots))


async def _run(
    engine: OpenAIEngine | EmbeddedEngine, session: SessionOf, arrivals: list[float], model_file: str
) -> Fidelity:
    await engine.check()
    try:
        return await compared(engine, WallClock(), session, arrivals, model_of(model_file))
    finally:
        await engine.close()
