"""Figures from rows, ladders that end, files that go on, and the command from end to end."""

import math
from collections import deque
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from dynasor.bench.online_figures import Measured, ratio, sustained_rate
from dynasor.bench.online_goals import goals
from dynasor.bench.online_rows import SHARES, Facts, OnlineRow, Origin, Point, Rows
from dynasor.bench.online_runs import Source
from dynasor.bench.online_study import FIXED, Ladder, OnlinePlan, OnlineStudy
from dynasor.cli import main
from dynasor.errors import UsageError
from support.online import write_recording

FACTS = Facts(
    workload="w",
    digest="d",
    accelerator="a100-llama-8b",
    cap=20,
    problems=40,
    samples_tokens=100.0,
    single_accuracy=0.8,
    capacity=10.0,
    alone_s=1.0,
    base_s=4.0,
    shares={},
    factors={},
)


def row(arm: str, load: float, attainment: float, *, seed: int = 0, cap: int = 20, needed: float = 1.0) -> OnlineRow:
    point = Point(
        workload="w",
        digest="d",
        accelerator="a100-llama-8b",
        arm=arm,
        ordering="fcfs",
        allocation="even",
        in_flight=False,
        due=False,
        seed=seed,
        programs=100,
        cap=cap,
        load=load,
    )
    figures = dict.fromkeys(
        ("mean_s", "p50_s", "p90_s", "p99_s", "tokens_per_s", "utilisation", "prefix_hit_rate"), 1.0
    )
    return OnlineRow(
        point=point,
        rate=10 * load,
        policy="even",
        attainment=attainment,
        accuracy=0.8 + cap / 1000,
        tokens=100.0,
        preemptions=0,
        less=0.0,
        needed=[needed * share for share in SHARES],
        fairness=[1.0] * 10,
        **figures,
    )


def test_the_sustained_rate_is_where_the_line_crosses_90_percent() -> None:
    assert sustained_rate([row("a", 1.0, 1.0), row("a", 2.0, 0.8)]) == pytest.approx(15.0)
    assert sustained_rate([row("a", 1.0, 0.8)]) == pytest.approx(5.0)
    assert sustained_rate([row("a", 1.0, 0.99), row("a", 2.0, 0.95)]) == 20.0
    assert sustained_rate([row("a", 1.0, 1.0), row("a", 2.0, 0.8), row("a", 3.0, 0.95)]) == pytest.approx(15.0)


def test_ratios_are_of_the_same_seeds() -> None:
    found = ratio([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    assert (found.value, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))
    assert math.isnan(ratio([], []).value)
    assert math.isnan(ratio([1.0], [1.0, 2.0]).value)


def test_a_figure_needs_every_seed() -> None:
    rows = Measured([row("a", 1.0, 1.0, seed=0), row("a", 1.0, 1.0, seed=1), row("b", 1.0, 1.0, seed=0)], 20)
    assert len(rows.at("a", 1.0)) == 2
    assert rows.at("b", 1.0) == []
    assert rows.sustained("b") == []
    assert rows.tightest("a", 1.0) == pytest.approx([0.9, 0.9])


def test_the_best_cap_is_the_most_accurate_of_those_in_time() -> None:
    rows = Measured([row("a", 0.9, 1.0, cap=5), row("a", 0.9, 0.95), row("a", 0.9, 0.5, cap=30)], 20)
    best = rows.best("a", 0.9)
    assert best is not None
    assert best == pytest.approx((20, 0.82))
    assert rows.best("b", 0.9) is None


def test_goals_say_what_was_reached() -> None:
    slow = [row("LPM (SGLang)", load, attained, needed=4.0) for load, attained in ((1.0, 1.0), (1.1, 0.5))]
    fifo = [row("App-FIFO (Parrot)", load, attained, needed=1.0) for load, attained in ((1.0, 1.0), (1.1, 0.5))]
    fast = [row("Dynasor", load, 1.0) for load in (1.0, 1.1, 2.0)]
    found = {goal.text: goal for goal in goals({"w": Measured([*slow, *fifo, *fast], 20)}, 1.1, 0.9)}
    assert found["1.6 to 3.3 x the rate of LPM (SGLang)"].met is True
    assert found["up to 4.7 x tighter than LPM (SGLang)"].met is False
    assert "4.00" in found["up to 4.7 x tighter than LPM (SGLang)"].found


def test_a_ladder_ends_below_a_rate_at_which_too_few_were_in_time() -> None:
    rows = [row("a", 1.0, 0.95), row("a", 2.0, 0.5), row("a", 3.0, 0.1)]
    points = [each.point for each in rows]

    def ladder() -> Ladder:
        return Ladder(Source("w", 20), FACTS, deque(points))

    assert ladder().next({}) == points[0]
    assert ladder().next({points[0]: rows[0]}) == points[1]
    assert ladder().next({points[0]: rows[0], points[1]: rows[1]}) is None


def test_rows_are_found_again_and_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = Rows(path)
    rows.add(Origin({"command": "dynasor"}))
    rows.add(FACTS)
    rows.add(row("a", 1.0, 1.0))
    rows.add(row("b", 1.0, 1.0))
    path.write_bytes(path.read_bytes()[:-20])
    again = Rows(path)
    assert [point.arm for point in again.points] == ["a"]
    again.add(row("b", 1.0, 1.0))
    again.forget(["a"])
    assert [point.arm for point in Rows(path).points] == ["b"]
    path.write_text("something else\n")
    with pytest.raises(UsageError, match="no rows of this study"):
        Rows(path)


def test_a_plan_asks_for_every_arm_at_the_fixed_loads_once(tmp_path: Path) -> None:
    plan = OnlinePlan(sources=("w",), seeds=2)
    study = OnlineStudy(plan, Rows(tmp_path / "rows.jsonl"), facts=[FACTS])
    points = {point for ladder in study.ladders() for point in ladder.points}
    plain = [each for each in points if (each.cap, each.memory, each.scale, each.hints) == (20, 1.0, 1.0, True)]
    for load in FIXED:
        assert sum(each.load == load for each in plain) == 2 * len(plan.arms)
    assert {each.memory for each in points} == {1.0, *plan.memories}
    assert {each.cap for each in points} == set(plan.caps)
    assert replace(plan, caps=(), cap=20).most == 20


@pytest.mark.slow
def test_the_command_goes_on_where_it_was(tmp_path: Path) -> None:
    trace = write_recording(tmp_path / "tiny.jsonl")
    arguments = ["bench", "online", str(trace), "--quick", "--out", str(tmp_path / "out"), "--page", str(tmp_path)]
    first = CliRunner().invoke(main, arguments)
    assert first.exit_code == 0, first.output
    assert max(map(len, first.output.splitlines())) <= 200
    rows = tmp_path / "out" / "rows.jsonl"
    points = [line for line in rows.read_bytes().splitlines() if b'"row":"point"' in line]
    page = (tmp_path / "online.md").read_text(encoding="utf-8")
    assert "nan" not in page
    assert (tmp_path / "online-rates.png").stat().st_size > 1000
    again = CliRunner().invoke(main, [*arguments, "--no-runs"])
    assert again.exit_code == 0, again.output
    assert (tmp_path / "online.md").read_text(encoding="utf-8") == page
    arguments += ["--again", "Dynasor"]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    measured = [line for line in rows.read_bytes().splitlines() if b'"row":"point"' in line]
    assert sorted(measured) == sorted(points)
    assert len({msgspec.json.decode(line)["point"]["arm"] for line in measured}) == 5


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    trace = str(write_recording(tmp_path / "tiny.jsonl"))
    for arguments, words in (
        (["--programs", "many"], "whole numbers"),
        (["--programs", "3"], "at least 20"),
        (["--arm", "Dynasaur"], "Dynasaur"),
        (["--quick", "--cap", "30", "--out", str(tmp_path / "out")], "lower the caps"),
    ):
        result = CliRunner().invoke(main, ["bench", "online", trace, *arguments])
        assert result.exit_code == 2, result.output
        assert words in result.output
