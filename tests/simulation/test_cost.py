from statistics import fmean

import pytest

from dynasor.errors import UsageError
from dynasor.simulation.cost import CostModel, Linear
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


def test_lines_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="none may be negative"):
        Linear(step_s=-1, sequence_s=0, prompt_token_s=0, kv_token_s=0)
    with pytest.raises(UsageError, match="a step must take time"):
        Linear(step_s=0, sequence_s=0, prompt_token_s=1, kv_token_s=0)
