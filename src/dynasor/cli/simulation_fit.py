"""A model file of a live engine: measured here, by the experiments of `simulation.measure`."""

import asyncio
from pathlib import Path

import click

from dynasor.bench.provenance import provenance
from dynasor.cli.simulation_sizes import Sizes, sizes_of
from dynasor.clock import WallClock
from dynasor.engines.embedded import EmbeddedEngine
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.simulation.fitting import Fitted, Wanted, fitted
from dynasor.simulation.limits import Limits
from dynasor.simulation.models import Engine, Line, ModelFile, Value, write_model


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
        EngineError: where it does not do its part, or its times are none of the model's.
    """
    live = is_address(source)
    limits = Limits(sequences or (256 if live else wanted.most), step_tokens or (2048 if live else 256 + wanted.most))
    sizes = sizes_of(source) if live else Sizes()
    found = asyncio.run(_measured(engine_of(source, wanted.most, api_key_variable), wanted, limits))
    engine = Engine(
        request_s=found.times.request_s,
        entry_s=found.times.entry_s,
        cache_tokens=sizes.cache_tokens,
        block_tokens=sizes.block_tokens,
        shares_prefixes=sizes.shares_prefixes,
        sequences=limits.sequences,
        step_tokens=limits.step_tokens,
    )
    facts: dict[str, Value] = {name: str(value) for name, value in provenance().items()}
    facts |= {"engine": source, "experiments": len(found.timings)}
    facts |= {f"{name}_percent": round(100 * value, 2) for name, value in _figures(found).items()}
    write_model(ModelFile(cost=_line(found), engine=engine, provenance=facts), out)
    _tell(found, engine, out)


def is_address(source: str) -> bool:
    """Whether an engine is a server's address, and not a file or the built-in one."""
    return source.startswith(("http://", "https://"))


def engine_of(
    source: str, slots: int, api_key_variable: str = "OPENAI_API_KEY", connections: int = 256
) -> OpenAIEngine | EmbeddedEngine:
    """The engine of an address, or of a GGUF file, which then has so many slots."""
    if is_address(source):
        return OpenAIEngine(
            Endpoint(source, api="completions", api_key_variable=api_key_variable, max_connections=connections)
        )
    return EmbeddedEngine(EmbeddedModel(Path(source), api="completions", slots=slots))


async def _measured(engine: OpenAIEngine | EmbeddedEngine, wanted: Wanted, limits: Limits) -> Fitted:
    await engine.check()
    try:
        return await fitted(engine, WallClock(), wanted, limits)
    finally:
        await engine.close()


def _line(found: Fitted) -> Line:
    times = found.times
    return Line(
        step_s=times.step_s,
        sequence_s=times.sequence_s,
        prompt_token_s=times.prompt_token_s,
        kv_token_s=times.kv_token_s,
    )


def _figures(found: Fitted) -> dict[str, float]:
    return {"error": found.error, "worst_error": found.worst_error, "repetitions_differ": found.spread}


def _tell(found: Fitted, engine: Engine, out: Path) -> None:
    times = found.times
    click.echo(
        f"a step takes {1000 * times.step_s:.3f} ms, and {1000 * times.sequence_s:.4f} ms for a sequence,"
        f" {1000 * times.prompt_token_s:.4f} ms for a prompt token, {1e6 * times.kv_token_s:.4f} µs for a cached token;"
        f" a request takes {1000 * times.entry_s:.2f} ms before the engine has it, one after the other, and"
        f" {1000 * times.request_s:.1f} ms after its last step"
    )
    click.echo(
        f"error over {len(found.timings)} experiments: {100 * found.error:.1f} % on average,"
        f" {100 * found.worst_error:.0f} % at most; repetitions differ by {100 * found.spread:.1f} %"
    )
    click.echo(
        f"taken for the server's settings: {engine.sequences} sequences, {engine.step_tokens} tokens a step,"
        f" {engine.cache_tokens} tokens in the cache, in blocks of {engine.block_tokens}; correct them in the file"
    )
    click.echo(f"wrote {out}; try dynasor simulate --trace svamp --accelerator {out}")
