"""Figures of the live evaluation from rows that are known: rates, scales, intervals, and what /proc tells."""

import math
from pathlib import Path

import pytest

from dynasor.bench.online_live_figures import LiveFigures, quantile, sustained_rate
from dynasor.bench.online_live_rows import LivePoint, LiveRow, Work
from dynasor.bench.process_time import ThreadTime, cpu_s, group_times, waited_share

WORK = Work(wall_s=10.0, steps=1000, tokens=100, prompt_tokens=0, hit_tokens=0, preemptions=0, cpu_s=9.0, waited=0.0)


def row(arm: str, load: float, latency_s: list[float], seed: int = 0) -> LiveRow:
    point = LivePoint(
        digest="d",
        arm=arm,
        server="stock",
        ordering="",
        policy="even",
        in_flight=False,
        due=False,
        seed=seed,
        programs=len(latency_s),
        cap=8,
        slots=64,
        load=load,
        rate=2 * load,
        base_s=1.0,
    )
    count = len(latency_s)
    return LiveRow(
        point=point,
        latency_s=latency_s,
        latency_steps=[100 * each for each in latency_s],
        within_s=[1.0] * count,
        tokens=[10] * count,
        knob=[8] * count,
        right=[1.0] * count,
        even_tokens=[10] * count,
        less=0,
        work=WORK,
    )


def late(share: float, count: int = 100) -> list[float]:
    """Latencies of which such a share is twice too long, evenly spread."""
    return [2.0 if int((place + 1) * share) > int(place * share) else 0.5 for place in range(count)]


def test_the_sustained_rate_is_where_the_line_crosses_90_percent() -> None:
    assert sustained_rate([1.0, 2.0], [1.0, 0.8]) == pytest.approx(1.5)
    assert sustained_rate([1.0], [0.8]) == pytest.approx(0.5)
    assert sustained_rate([1.0, 2.0, 3.0], [0.95, 0.99, 0.91]) == 3.0
    assert sustained_rate([1.0, 2.0, 3.0], [1.0, 0.8, 0.95]) == pytest.approx(1.5)


def test_a_quantile_is_one_of_the_values() -> None:
    assert [quantile([3.0, 1.0, 2.0, 4.0], share) for share in (0.01, 0.25, 0.5, 0.9, 1.0)] == [1.0, 1.0, 2.0, 4.0, 4.0]
    assert quantile([float(place) for place in range(1, 11)], 0.9) == 9.0
    assert math.isnan(quantile([], 0.5))


def test_seeds_are_taken_together_and_ratios_are_paired() -> None:
    columns = {1.0: [0.5] * 100, 2.0: [2.0] * 20 + [0.5] * 80}
    rows = [row(arm, load, columns[load], seed) for arm in ("a", "b") for load in columns for seed in (0, 1)]
    figures = LiveFigures(rows, draws=100)
    assert figures.attainment("a", 2.0).value == pytest.approx(0.8)
    assert figures.sustained("a").value == pytest.approx(3.0)
    assert not figures.is_sustained_throughout("a")
    same = figures.sustained("b").over(figures.sustained("a")).estimate
    assert (same.value, same.low, same.high) == (1.0, 1.0, 1.0), "equal arms are equal in every draw"
    own = figures.sustained("a").estimate
    assert own.low <= 3.0 <= own.high
    assert own.low < own.high


def test_programs_that_came_together_are_drawn_together() -> None:
    """A stretch of late programs makes the interval wider than as many late ones here and there."""
    spread = LiveFigures([row("a", 1.0, late(0.2))], draws=300).attainment("a", 1.0).estimate
    stretch = LiveFigures([row("a", 1.0, [2.0] * 20 + [0.5] * 80)], draws=300).attainment("a", 1.0).estimate
    assert spread.value == stretch.value == pytest.approx(0.8)
    assert stretch.high - stretch.low > 2 * (spread.high - spread.low)


def test_the_tightest_scale_is_what_nine_in_ten_need() -> None:
    figures = LiveFigures([row("a", 1.0, [place / 100 for place in range(1, 101)])], draws=50)
    assert figures.tightest("a", 1.0).value == pytest.approx(0.9)
    assert math.isnan(figures.tightest("a", 2.0).value)
    assert math.isnan(figures.sustained("b").value)


def test_a_load_counts_where_all_seeds_were_measured() -> None:
    rows = [row("a", 1.0, late(0.0), 0), row("a", 1.0, late(0.0), 1), row("a", 2.0, late(0.5), 0)]
    figures = LiveFigures(rows, draws=10)
    assert figures.loads("a") == [1.0]
    assert figures.is_sustained_throughout("a")


def test_threads_of_a_group_are_found_with_what_they_ran_and_waited(tmp_path: Path) -> None:
    for pid, group in ((10, 10), (11, 10), (12, 12)):
        (tmp_path / str(pid) / "task" / str(pid)).mkdir(parents=True)
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a (strange) name) S 1 {group} 0")
        (tmp_path / str(pid) / "task" / str(pid) / "schedstat").write_text("2000000000 500000000 7")
    (tmp_path / "13").mkdir()  # has ended meanwhile
    found = group_times(10, tmp_path)
    assert found == {10: ThreadTime(2.0, 0.5), 11: ThreadTime(2.0, 0.5)}


def test_the_thread_that_computes_tells_whether_it_waited() -> None:
    before = {1: ThreadTime(1.0, 1.0), 2: ThreadTime(5.0, 0.0)}
    after = {1: ThreadTime(4.0, 2.0), 2: ThreadTime(6.0, 9.0), 3: ThreadTime(0.5, 0.0)}
    assert cpu_s(before, after) == pytest.approx(4.5)
    assert waited_share(before, after) == pytest.approx(0.25)
    assert waited_share({}, {}) == 0.0
