"""A live engine's line is found again, from outside; here the engine is one whose line is known."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from dynasor.clock import WallClock
from dynasor.engines.embedded import EmbeddedEngine
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.errors import EngineError, UsageError
from dynasor.request import Completion, Finish, Request, RequestId
from dynasor.simulation.cost import Linear
from dynasor.simulation.fitting import Wanted, doubling, fitted
from dynasor.simulation.kernel import SECOND
from dynasor.simulation.limits import Limits
from dynasor.simulation.models import MODELS, Engine, Line, Model, ModelFile, model_of, read_model, write_model

KNOWN = Linear(step_s=2e-3, sequence_s=3e-4, prompt_token_s=5e-5, kv_token_s=1e-6)
REQUEST_S = 4e-3


class SteppingEngine:
    """Decodes all that it has by steps of a known line; prompts first, and its clock is virtual."""

    def __init__(self, *, ends_after: int = 1 << 30, counts: bool = True) -> None:
        self._now = 0.0
        self._running: dict[RequestId, list[int]] = {}
        self._asked: dict[RequestId, Request] = {}
        self._ends_after, self._counts = ends_after, counts

    def now(self) -> float:
        return self._now

    async def sleep(self, duration_s: float) -> None:
        raise AssertionError("nobody waits here")

    async def check(self) -> None:
        return None

    async def close(self) -> None:
        return None

    def cancel(self, id: RequestId) -> None:
        raise AssertionError("nothing is cut here")

    def submit(self, request: Request) -> None:
        prompt = len(str(request.prompt).split())
        self._asked[request.id] = request
        self._running[request.id] = [prompt, 0]

    async def ready(self) -> Sequence[Completion]:
        fresh = sum(prompt for prompt, tokens in self._running.values() if not tokens)
        decoding = [held for held in self._running.values() if held[1]]
        reads = sum(map(sum, decoding))
        self._now += (KNOWN.step_ps(len(decoding), fresh, 0) + KNOWN.kv_token_ps * reads) / SECOND
        self._now += REQUEST_S * sum(1 for held in self._running.values() if not held[1])
        return [completion for id in list(self._running) if (completion := self._step(id)) is not None]

    def _step(self, id: RequestId) -> Completion | None:
        held, request = self._running[id], self._asked[id]
        held[1] += 1
        if held[1] < min(request.sampling.max_tokens, self._ends_after):
            return None
        del self._running[id]
        return Completion(id=id, finish=Finish.LENGTH, tokens=held[1], prompt_tokens=held[0] if self._counts else None)


async def test_a_known_line_is_found() -> None:
    engine = SteppingEngine()
    found = await fitted(engine, engine, Wanted(most=8, longest_prompt=128, repeats=1))
    assert found.line["step_s"] == pytest.approx(2e-3, rel=0.05)
    assert found.line["sequence_s"] == pytest.approx(3e-4, rel=0.05)
    assert found.line["prompt_token_s"] == pytest.approx(5e-5, rel=0.01)
    assert found.line["kv_token_s"] == pytest.approx(1e-6, rel=0.05)
    assert found.request_s == pytest.approx(REQUEST_S, rel=0.05)
    assert found.error < 0.01


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        (SteppingEngine(counts=False), "does not count the tokens of prompts"),
        (SteppingEngine(ends_after=3), "ended after 3 tokens of 16"),
    ],
)
async def test_engines_that_cannot_be_measured(engine: SteppingEngine, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        await fitted(engine, engine, Wanted(most=2, longest_prompt=32, repeats=1))


def test_sizes_double_up_to_the_most() -> None:
    assert doubling(1) == [1]
    assert doubling(8) == [1, 2, 4, 8]
    assert doubling(12) == [1, 2, 4, 8, 12]


def test_a_model_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    line = Line(step_s=2e-3, sequence_s=3e-4, prompt_token_s=5e-5, kv_token_s=1e-6)
    engine = Engine(request_s=4e-3, cache_tokens=5000, sequences=8, step_tokens=264)
    file = ModelFile(cost=line, engine=engine, provenance={"engine": 'a "quoted" name', "points": 8})
    path = tmp_path / "new" / "model.toml"
    write_model(file, path)
    assert read_model(path) == file
    model = model_of(str(path))
    assert isinstance(model, Model)
    assert (model.cache_tokens, model.limits, model.request_s) == (5000, Limits(8, 264), 4e-3)
    assert model.cost.step_ps(3, 7, 0) == KNOWN.step_ps(3, 7, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [("[cost]\nstep_s = 1.0\n", "is not a model file"), ("no TOML", "is not a model file"), (None, "cannot read")],
)
def test_model_files_that_are_none(text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=message):
        model_of(str(path))


def test_accelerators_by_name() -> None:
    assert [model_of(name).limits.sequences for name in MODELS] == [256] * len(MODELS)
    with pytest.raises(UsageError, match=r"unknown accelerator 'b200' \(known: FILE.toml, a100-llama-8b"):
        model_of("b200")


@pytest.mark.slow
def test_the_embedded_engine_can_be_measured() -> None:
    """Its real figures are the machine's own; only that they can be had is tested."""
    pytest.importorskip("xllamacpp")

    async def measured() -> None:
        engine = EmbeddedEngine(
            EmbeddedModel(Path("builtin"), api="completions", slots=2, extra_body={"ignore_eos": True})
        )
        await engine.check()
        try:
            found = await fitted(engine, WallClock(), Wanted(most=2, longest_prompt=32, repeats=1))
        finally:
            await engine.close()
        assert len(found.steps) == 4
        assert found.line["step_s"] + found.line["sequence_s"] > 0

    try:
        asyncio.run(measured())
    except (EngineError, UsageError) as fault:
        if "quiet" not in str(fault):
            raise
        pytest.skip(f"this machine is too busy to be measured: {fault}")
