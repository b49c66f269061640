import math
from pathlib import Path

import msgspec
import pytest

from dynasor.bench import plugin_study, vllm_inside
from dynasor.bench.plugin_rows import Cost, Measured, Point, Pressed, Rate, Window
from dynasor.bench.plugin_tables import typical, write_plugin
from dynasor.bench.plugin_workload import arrivals, make_programs
from dynasor.errors import UsageError


def point(arm: str, seed: int, mean_steps: float, workload: str = "burst", ratio: float = 2.0) -> Point:
    return Point(workload, arm, 1, seed, mean_steps, 900, ratio, 0, 0)


def windows(times: float, rounds: int = 30) -> list[Window]:
    """Rounds in which ours takes so many times as long as vLLM's own, now a little more and now a little less."""
    found: list[Window] = []
    for turn in range(rounds):
        quick = 1.0 + turn % 3 / 10
        for arm, slow in (("fcfs", 1.0), ("dynasor", times + (turn % 2 - 0.5) / 500)):
            found += [Window(arm, turn, 4000, 90, quick * slow, 2 * quick * slow)] * 2
    return found


ROWS: list[Measured] = [
    point("fcfs", 0, 100.0, ratio=7.25),
    point("fcfs", 1, 201.0),
    point("fcfs", 0, 50.0, "rounds", ratio=9.0),
    point("gang", 0, 60.0),
    point("gang", 0, 40.0, "rounds"),
    Pressed("victims", "fcfs", {"short programs preempted": 6.0, "tokens": 1003.0}),
    Cost("dynasor", 100_000, 1234.4, 2000.0, 1300.0, 50.0, 12.3, -4.0, 28.6),
    *windows(1.01),
    *(Rate("dynasor", repeat, 64, rate) for repeat, rate in enumerate((900.0, 1100.0, 1000.0))),
]


def test_the_page_tells_every_part(tmp_path: Path) -> None:
    write_plugin(ROWS, {"command": "dynasor bench plugin"}, tmp_path)
    page = (tmp_path / "README.md").read_text()
    assert "- command: `dynasor bench plugin`" in page
    assert "| fcfs | 150.5 | 50.0 | 7.25 |" in page, "means over seeds; the worst ratio is that of a burst"
    assert "| gang | 60.0 | 40.0 | 2.00 |" in page
    assert "| fcfs | 6 | 1,003 |" in page
    assert "| 100,000 | dynasor | 1,234 | 2,000 | 1,300 | +12 [-4, +29] | 50 |" in page
    assert "| tokens, of the processor's time | 3,636 | 3,600 | 0.99" in page
    assert "| tokens, of wall time | 1,818 | 1,800 | 0.99" in page
    assert "| steps, of the processor's time | 82 | 81 | 0.99" in page
    assert "| dynasor | 1,000 | 900 | 1,100 | 0.0 % |" in page


@pytest.mark.parametrize(
    ("times", "verdict"), [(1.0, "yes"), (1.01, "yes"), (1.0204, "not decided"), (1.03, "**no**"), (0.9, "yes")]
)
def test_two_percent_are_decided_where_the_interval_allows(times: float, verdict: str, tmp_path: Path) -> None:
    write_plugin(windows(times), {}, tmp_path)
    lines = (tmp_path / "README.md").read_text().splitlines()
    assert [line.endswith(f"| {verdict} |") for line in lines if line.startswith("| tokens, of the proc")] == [True]


def test_rounds_that_were_disturbed_move_nothing(tmp_path: Path) -> None:
    calm = [0.995, 1.0, 1.005, 0.998, 1.002] * 8
    disturbed = [*calm[:30], *[3.0] * 10]
    for values in (calm, disturbed):
        found = typical(values)
        assert 0.995 <= found.low <= found.value <= found.high <= 1.005
    assert math.isnan(typical(calm[:4]).low)


def test_servers_are_compared_window_by_window(tmp_path: Path) -> None:
    rates = [Rate(arm, repeat, 64, rate) for repeat in range(8) for arm, rate in (("fcfs", 1000.0), ("dynasor", 990.0))]
    write_plugin(rates, {}, tmp_path)
    assert "window by window: 0.9900 [0.9900, 0.9900]; at most 2 % less: yes." in (tmp_path / "README.md").read_text()


def test_what_was_not_measured_is_not_on_the_page(tmp_path: Path) -> None:
    write_plugin(ROWS[:1], {}, tmp_path)
    page = (tmp_path / "README.md").read_text()
    assert not any(part in page for part in ("Victims", "microseconds", "Throughput"))


def test_rows_can_be_read_again(tmp_path: Path) -> None:
    write_plugin(ROWS, {"seeds": "0 to 1"}, tmp_path)
    first, *rows = map(msgspec.json.decode, (tmp_path / "rows.jsonl").read_bytes().splitlines())
    assert first == {"seeds": "0 to 1"}
    assert [row["part"] for row in rows] == ["point"] * 5 + ["pressed", "cost"] + ["window"] * 120 + ["rate"] * 3
    assert msgspec.convert({**rows[0]}, Point) == ROWS[0]


def test_without_vllm_one_is_told_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_inside, "ENVIRONMENT", tmp_path)
    with pytest.raises(UsageError, match="make it with scripts/vllm-environment"):
        next(plugin_study.measure("steps", Point))


def test_programs_are_the_same_in_one_round_or_four() -> None:
    at_once, turns = make_programs(3), make_programs(3, rounds=4)
    assert [program.tokens for program in at_once] == [program.tokens for program in turns]
    assert [len(program.rounds) for program in turns] == [4] * 20
    assert all(program.branches_left(0) == 8 and program.branches_left(3) == 2 for program in turns)
    assert all(0.8 <= program.estimate(0) / program.tokens <= 1.2 for program in at_once)


def test_requests_arrive_shuffled_and_none_is_missing() -> None:
    programs = make_programs(3)
    order = [(program.index, branch) for program, branch in arrivals(3, programs)]
    assert sorted(order) == [(index, branch) for index in range(20) for branch in range(8)]
    assert order != sorted(order)
    assert order != [(program.index, branch) for program, branch in arrivals(4, programs)]
