"""A live engine's times are found again, from outside; here the engine is one whose times are known."""

import asyncio
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from random import Random

import pytest

from dynasor.clock import WallClock
from dynasor.engines.embedded import EmbeddedEngine
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.errors import EngineError, UsageError
from dynasor.request import Completion, Finish, Request
from dynasor.simulation.cost import Linear
from dynasor.simulation.fit import Times, Timing, fit, nonnegative, simulated_s
from dynasor.simulation.fitting import Wanted, doubling, experiments, fitted
from dynasor.simulation.limits import Limits
from dynasor.simulation.models import MODELS, Engine, Line, Model, ModelFile, model_of, read_model, write_model

KNOWN = Times(step_s=2e-3, sequence_s=3e-4, prompt_token_s=5e-5, kv_token_s=1e-6, entry_s=1e-3, request_s=4e-3)
LINE = Linear(step_s=2e-3, sequence_s=3e-4, prompt_token_s=5e-5, kv_token_s=1e-6)
LIMITS = Limits(8, 64)


def took_s(timing: Timing) -> float:
    return simulated_s(timing, LINE, LIMITS, entry_s=KNOWN.entry_s, request_s=KNOWN.request_s)


class KnownEngine:
    """Takes known times, or as many more of them as `noise` draws; its clock is virtual."""

    def __init__(self, *, ends_after: int = 1 << 30, counts: bool = True, noise: float = 0.0) -> None:
        self._now = 0.0
        self._asked: list[Request] = []
        self._ends_after, self._counts, self._noise = ends_after, counts, noise
        self._rng = Random("noise")

    def now(self) -> float:
        return self._now

    async def sleep(self, duration_s: float) -> None:
        raise AssertionError("nobody waits here")

    async def check(self) -> None:
        return None

    async def close(self) -> None:
        return None

    def cancel(self, id: object) -> None:
        raise AssertionError("nothing is cut here")

    def submit(self, request: Request) -> None:
        self._asked.append(request)

    async def ready(self) -> Sequence[Completion]:
        asked, self._asked = self._asked, []
        prompt, tokens = len(str(asked[0].prompt).split()), asked[0].sampling.max_tokens
        slower = self._rng.choice((3.0, *[1.0] * 9)) if self._noise else 1.0
        slower *= 1 + abs(self._rng.gauss(0.0, self._noise))
        self._now += slower * took_s(Timing(len(asked), prompt, tokens, 1.0))
        counted = prompt if self._counts else None
        ended = min(tokens, self._ends_after)
        return [Completion(id=each.id, finish=Finish.LENGTH, tokens=ended, prompt_tokens=counted) for each in asked]


async def test_known_times_are_found() -> None:
    engine = KnownEngine()
    found = await fitted(engine, engine, Wanted(most=4, longest_prompt=64, repeats=1), LIMITS)
    assert astuple(found.times) == pytest.approx(astuple(KNOWN), rel=0.06)
    assert found.worst_error < 0.01
    assert found.spread == 0.0


@pytest.mark.slow
async def test_times_are_found_through_noise_and_a_tenth_that_takes_thrice_as_long() -> None:
    engine = KnownEngine(noise=0.03)
    found = await fitted(engine, engine, Wanted(most=8, longest_prompt=128, repeats=5), LIMITS)
    for timing in (Timing(4, 50, 100, 1.0), Timing(20, 60, 40, 1.0)):  # neither was measured
        told = simulated_s(
            timing,
            Linear(
                step_s=found.times.step_s,
                sequence_s=found.times.sequence_s,
                prompt_token_s=found.times.prompt_token_s,
                kv_token_s=found.times.kv_token_s,
            ),
            LIMITS,
            entry_s=found.times.entry_s,
            request_s=found.times.request_s,
        )
        assert told == pytest.approx(took_s(timing), rel=0.06)
    assert 0.0 < found.spread < 0.1


async def test_a_bad_fit_is_refused() -> None:
    engine = KnownEngine(noise=1.0)
    with pytest.raises(EngineError, match=r"off by \d+ % on average, where 2 % is allowed.*other work runs"):
        await fitted(engine, engine, Wanted(most=2, longest_prompt=32, repeats=2, most_error=0.02), LIMITS)


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        (KnownEngine(counts=False), "does not count the tokens of prompts"),
        (KnownEngine(ends_after=1), "ended after 1 tokens of 2"),
    ],
)
async def test_engines_that_cannot_be_measured(engine: KnownEngine, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        await fitted(engine, engine, Wanted(most=2, longest_prompt=32, repeats=1), LIMITS)


def test_what_is_measured_tells_all_times_apart() -> None:
    sizes = experiments(Wanted(most=4, longest_prompt=64))
    assert {size.requests for size in sizes} == {1, 2, 4}
    assert {size.words for size in sizes} == {16, 64}
    assert len({size.tokens for size in sizes}) == 3


def test_experiments_that_do_not_differ_are_refused() -> None:
    with pytest.raises(UsageError, match="do not tell what"):
        fit([Timing(2, 8, 9, 0.1)] * 9, LIMITS)
    with pytest.raises(UsageError, match="an experiment took no time"):
        fit([Timing(2, 8, 9, 0.0)], LIMITS)


def test_what_would_be_negative_is_left_out() -> None:
    found = nonnegative([[1, 1], [1, 2], [1, 3]], [3.0, 2.0, 1.0], ["all", "each"])
    assert found == pytest.approx([2.0, 0.0])
    with pytest.raises(UsageError, match="less time the more"):
        nonnegative([[1.0], [2.0]], [-1.0, -2.0], ["each"])


def test_sizes_double_up_to_the_most() -> None:
    assert doubling(1) == [1]
    assert doubling(8) == [1, 2, 4, 8]
    assert doubling(12) == [1, 2, 4, 8, 12]


def test_a_model_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    line = Line(step_s=2e-3, sequence_s=3e-4, prompt_token_s=5e-5, kv_token_s=1e-6)
    engine = Engine(
        request_s=4e-3,
        entry_s=1e-3,
        cache_tokens=5000,
        block_tokens=32,
        shares_prefixes=False,
        sequences=8,
        step_tokens=264,
    )
    file = ModelFile(cost=line, engine=engine, provenance={"engine": 'a "quoted" name', "points": 8})
    path = tmp_path / "new" / "model.toml"
    write_model(file, path)
    assert read_model(path) == file
    model = model_of(str(path))
    assert isinstance(model, Model)
    assert (model.cache_tokens, model.limits, model.request_s) == (5000, Limits(8, 264), 4e-3)
    assert (model.entry_s, model.block_tokens, model.shares_prefixes) == (1e-3, 32, False)
    assert model.cost.step_ps(3, 7, 0) == LINE.step_ps(3, 7, 0)


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
        engine = EmbeddedEngine(EmbeddedModel(Path("builtin"), api="completions", slots=2))
        await engine.check()
        try:
            wanted = Wanted(most=2, longest_prompt=32, repeats=1, most_error=2.0)
            found = await fitted(engine, WallClock(), wanted, Limits(2, 258))
        finally:
            await engine.close()
        assert len(found.timings) == 12
        assert found.times.step_s + found.times.sequence_s > 0

    asyncio.run(measured())
