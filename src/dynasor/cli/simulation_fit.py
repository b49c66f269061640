"""A model file of a live engine: measured here, by the experiments of `simulation.measure`."""

import asyncio
from pathlib import Path

import click

from dynasor.bench.provenance import provenance
from dynasor.clock import WallClock
from dynasor.engines.embedded import EmbeddedEngine
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.simulation.fitting import Fitted, Wanted, fitted
from dynasor.simulation.models import Engine, Line, ModelFile, Value, write_model

_UNKNOWN_CACHE = 1 << 24
_ON = {"ignore_eos": True}


def fit_model(
    source: str,
    *,
    out: Path,
    wanted: Wanted,
    sequences: int | None,
    step_tokens: int | None,
    api_key_variable: str,
) -> None:
    """Measure an engine, write the model file, and tell what was found.

    Raises:
        UsageError: where the engine cannot be asked, or the file cannot be written.
        EngineError: where it does not do its part, or its steps cannot be told apart.
    """
    live = source.startswith(("http://", "https://"))
    if live:
        endpoint = Endpoint(source, api="completions", api_key_variable=api_key_variable, extra_body=_ON)
        found = asyncio.run(_measured(OpenAIEngine(endpoint), wanted))
    else:
        model = EmbeddedModel(Path(source), api="completions", slots=wanted.most, extra_body=_ON)
        found = asyncio.run(_measured(EmbeddedEngine(model), wanted))
    engine = Engine(
        request_s=found.request_s,
        cache_tokens=_UNKNOWN_CACHE,
        sequences=sequences or (256 if live else wanted.most),
        step_tokens=step_tokens or (2048 if live else 256 + wanted.most),
    )
    facts: dict[str, Value] = {name: str(value) for name, value in provenance().items()}
    facts |= {"engine": source, "points": len(found.steps), "error_percent": round(100 * found.error, 2)}
    write_model(ModelFile(cost=Line(**found.line), engine=engine, provenance=facts), out)
    _tell(found, out)


async def _measured(engine: OpenAIEngine | EmbeddedEngine, wanted: Wanted) -> Fitted:
    await engine.check()
    try:
        return await fitted(engine, WallClock(), wanted)
    finally:
        await engine.close()


def _tell(found: Fitted, out: Path) -> None:
    line = {name: 1000 * value for name, value in found.line.items()}
    click.echo(
        f"a step takes {line['step_s']:.3f} ms, and {line['sequence_s']:.4f} ms for a sequence,"
        f" {line['prompt_token_s']:.4f} ms for a prompt token, {1000 * line['kv_token_s']:.4f} µs for a cached token;"
        f" a request takes {1000 * found.request_s:.1f} ms beside"
    )
    click.echo(f"mean error over the {len(found.steps)} measured points: {100 * found.error:.1f} %")
    click.echo(f"wrote {out}; try dynasor simulate --trace svamp --accelerator {out}")
