import msgspec
import pytest

from dynasor.bench.engine_cancel import AbandonTrial, CancelTrial
from dynasor.bench.engine_rows import Range, RatioRow, SpeedRow, abandon_row, cancel_row, delay_of, speed_rows


def test_the_ratio_is_taken_repeat_by_repeat() -> None:
    ours, theirs, ratio = speed_rows({"a": [10.0, 40.0, 30.0], "b": [10.0, 10.0, 15.0]}, 8)
    assert ours == SpeedRow("a", 8, Range(30.0, 10.0, 40.0), [10.0, 40.0, 30.0])
    assert theirs == SpeedRow("b", 8, Range(10.0, 10.0, 15.0), [10.0, 10.0, 15.0])
    assert ratio == RatioRow("a", "b", 8, Range(2.0, 1.0, 4.0))


def test_one_engine_has_no_ratio() -> None:
    assert [type(row) for row in speed_rows({"a": [10.0]}, 1)] == [SpeedRow]


@pytest.mark.parametrize(("count", "p95"), [(1, 1.0), (2, 2.0), (20, 19.0), (21, 20.0), (40, 38.0), (100, 95.0)])
def test_the_percentile_is_that_of_the_nearest_rank(count: int, p95: float) -> None:
    times_s = [number / 1000 for number in range(count, 0, -1)]
    assert delay_of(times_s).p95_ms == pytest.approx(p95)
    assert delay_of(times_s).most_ms == pytest.approx(count)


def test_a_slot_free_at_the_target_is_within_it() -> None:
    row = cancel_row("a", 8, [CancelTrial(0.001, 0.002, 0.003, freed) for freed in (0.05, 0.01, 0.0501)], 4)
    assert (row.within_target, row.trials, row.left_out, row.target_ms) == (2, 3, 4, 50.0)
    assert msgspec.structs.astuple(row.freed) == pytest.approx((50.0, 50.1, 50.1))
    assert (row.alone.median_ms, row.beside.median_ms, row.told.median_ms) == (1.0, 2.0, 3.0)


def test_lost_tokens_are_told_where_somebody_counts_them() -> None:
    assert abandon_row("a", 8, [AbandonTrial(0.1, 0.2, None)]).lost_tokens is None
    row = abandon_row("a", 8, [AbandonTrial(0.1, 0.2, 3.0), AbandonTrial(0.1, 0.4, 5.0)])
    assert row.lost_tokens == Range(4.0, 3.0, 5.0)
    assert (row.closed.median_ms, row.idle.most_ms) == (100.0, 400.0)
