from random import Random
from statistics import fmean

import pytest

from dynasor.errors import UsageError
from dynasor.simulation.cost import CostModel, Linear
from dynasor.simulation.fit import MeasuredStep, fit_linear
from dynasor.simulation.kernel import picoseconds
from dynasor.simulation.measured import Table, a100, a100_roofline, h100

MEASURED_MS = {
    1: (11.8, 11.9, 12.2),
    8: (12.1, 12.6, 14.7),
    16: (12.3, 13.6, 17.5),
    32: (13.1, 15.6, 25.1),
    64: (13.8, 17.8, 33.5),
    128: (17.3, 24.8, 56.4),
    256: (28.3, 43.7, 105.7),
    512: (47.6, 79.1, 203.7),
}
"""Milliseconds of a decoding step on an A100, by batch, over contexts of 256, 1,024 and 4,096 tokens."""


def decode_ms(model: CostModel, batch: int, context: int) -> float:
    return (model.step_ps(batch, 0, 0) + batch * context * model.kv_token_ps) / 1e9


def errors(model: CostModel) -> list[float]:
    return [
        abs(decode_ms(model, batch, context) / measured - 1)
        for batch, row in MEASURED_MS.items()
        for context, measured in zip((256, 1024, 4096), row, strict=True)
    ]


def test_the_table_meets_what_was_measured() -> None:
    assert fmean(errors(a100())) < 0.015
    assert max(errors(a100())) < 0.10


def test_the_roofline_comes_near() -> None:
    assert fmean(errors(a100_roofline())) < 0.06
    assert max(errors(a100_roofline())) < 0.15


@pytest.mark.parametrize(("tokens", "measured"), [(128, 14.5), (256, 22.6), (512, 36.0), (1024, 64.7), (8192, 557.0)])
def test_a_prompt_alone_takes_what_was_measured(tokens: int, measured: float) -> None:
    assert a100().step_ps(0, tokens, 0) / 1e9 == pytest.approx(measured, rel=0.04)


def test_a_prompt_in_pieces_takes_no_less_than_at_once() -> None:
    model = a100()
    pieces = sum(model.step_ps(0, 2048, 2048 * before) for before in range(0, 8192, 2048))
    assert model.step_ps(0, 8192, 0) <= pieces * 1.05
    assert pieces <= model.step_ps(0, 8192, 0) * 1.15


def test_the_h100_is_about_twice_as_quick() -> None:
    assert decode_ms(h100(), 64, 1024) == pytest.approx(6.35 + 64 * 0.0123 + 64 * 1024 * 41e-6)
    assert decode_ms(a100(), 64, 1024) / decode_ms(h100(), 64, 1024) == pytest.approx(1.8, abs=0.1)
    assert a100().step_ps(0, 1024, 0) / h100().step_ps(0, 1024, 0) == pytest.approx(2.25, abs=0.1)


def test_tables_go_on_beyond_their_ends() -> None:
    table = Table({10: 1.0, 20: 2.0}, kv_token_s=0.0)
    assert [table.step_ps(tokens, 0, 0) / 1e9 for tokens in (1, 10, 15, 20, 40)] == [1.0, 1.0, 1.5, 2.0, 4.0]
    with pytest.raises(UsageError, match="a table of 1 step times"):
        Table({1: 1.0}, kv_token_s=0.0)


def steps_of(line: Linear, noise: float = 0.0) -> list[MeasuredStep]:
    rng, steps = Random("steps"), []
    for _ in range(400):
        decoding, prompt = rng.randrange(64), rng.choice([0, 0, 128, 512])
        kv_tokens = decoding * rng.randrange(100, 3000)
        took = line.step_ps(decoding, prompt, 0) + kv_tokens * line.kv_token_ps
        steps.append(MeasuredStep(decoding, prompt, kv_tokens, took / 1e12 * (1 + rng.gauss(0, noise))))
    return steps


def test_a_line_is_found_again() -> None:
    line = Linear(step_s=4e-3, sequence_s=5e-5, prompt_token_s=6e-5, kv_token_s=7e-8)
    found = fit_linear(steps_of(line))
    assert found.kv_token_ps == pytest.approx(line.kv_token_ps, abs=1)
    for load in ((0, 0), (10, 0), (0, 1000), (40, 512)):
        assert found.step_ps(*load, 0) == pytest.approx(line.step_ps(*load, 0), rel=1e-6)


def test_a_line_is_found_through_noise() -> None:
    line = Linear(step_s=4e-3, sequence_s=5e-5, prompt_token_s=6e-5, kv_token_s=7e-8)
    found = fit_linear(steps_of(line, noise=0.05))
    assert found.kv_token_ps == pytest.approx(line.kv_token_ps, rel=0.05)
    assert found.step_ps(40, 512, 0) == pytest.approx(line.step_ps(40, 512, 0), rel=0.03)


def test_what_would_be_negative_is_left_out() -> None:
    steps = [
        MeasuredStep(b, p, 10 * b * c, 0.01 + 1e-4 * p - 1e-5 * b) for b in (1, 2, 8) for p in (0, 9) for c in (1, 7)
    ]
    found = fit_linear(steps)
    assert found.step_ps(8, 0, 0) == found.step_ps(0, 0, 0)
    assert found.step_ps(0, 9, 0) == pytest.approx(picoseconds(0.0109), rel=0.01)


def test_steps_that_do_not_differ_are_refused() -> None:
    with pytest.raises(UsageError, match="do not tell what prompt tokens cost"):
        fit_linear([MeasuredStep(b, 0, b * c, 0.01) for b in (1, 2, 3) for c in (1, 5)])
    with pytest.raises(UsageError, match="do not tell what steps cost"):
        fit_linear([])
    with pytest.raises(UsageError, match="none may be negative"):
        Linear(step_s=-1, sequence_s=0, prompt_token_s=0, kv_token_s=0)
    with pytest.raises(UsageError, match="a measured step takes no time"):
        fit_linear([MeasuredStep(1, 0, 7, 0.0)])
    with pytest.raises(UsageError, match="no time of their own"):
        fit_linear([MeasuredStep(b, p, b * c, 0.1 * b * c) for b in (1, 2, 8) for p in (0, 9) for c in (1, 7)])
