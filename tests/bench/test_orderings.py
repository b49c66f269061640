"""The benches of orderings, on little: rows with their origin, and the bounds that every ordering is held against."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from dynasor.bench.queue_speed import measure_queue
from dynasor.cli import main
from dynasor.launch.order_study import OrderPlan, run_orders

pytestmark = pytest.mark.slow


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["bench", "orderings", *map(str, arguments)])


def test_orderings_are_held_against_the_oracle_and_gang() -> None:
    plan = OrderPlan(trace="svamp", cap=10, policy="even", programs=60, sequences=16, burstiness=3.0)
    rows = {row.ordering: row for row in run_orders(plan, ("fcfs",))}
    assert list(rows) == ["fcfs", "gang", "oracle"]
    assert rows["oracle"].against_oracle == 0.0
    assert rows["gang"].tail == 1.0
    assert rows["oracle"].mean_s < rows["gang"].mean_s
    assert rows["fcfs"].mean_s == rows["gang"].mean_s, "all requests of a program come at once under this policy"
    assert rows["gang"].against_oracle == pytest.approx(rows["gang"].mean_s / rows["oracle"].mean_s - 1)
    for row in rows.values():
        assert row.guarded == (row.against_oracle <= 0.05 and row.tail <= 1.5)
        assert 0 < row.p50_s <= row.p90_s <= row.p99_s
    assert not rows["gang"].guarded


def test_every_load_and_burstiness_is_a_workload_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "new" / "orderings.jsonl"
    few = ("--programs", 40, "--cap", 10, "--sequences", 16)
    result = invoke("svamp", *few, "--ordering", "gang", "--loads", "0.5,1.2", "--burstiness", "1,4", "--out", out)
    assert result.exit_code == 0, result.output
    origin, *rows = map(msgspec.json.decode, out.read_bytes().splitlines())
    assert {"command", "commit", "machine"} <= origin.keys()
    assert [(row["load"], row["burstiness"]) for row in rows[::2]] == [(0.5, 1), (0.5, 4), (1.2, 1), (1.2, 4)]
    assert [row["ordering"] for row in rows] == ["gang", "oracle"] * 4
    assert rows[0]["mean_s"] < rows[4]["mean_s"], "more load"
    assert f"svamp, load 0.5, burstiness 1: {rows[0]['rate']:.3g} programs/s" in result.stdout
    assert result.stdout.count("* oracle") + result.stdout.count("  oracle") == 4


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--ordering", "sfj"), "unknown ordering 'sfj'"),
        (("--loads", "much"), "--loads is 'much'; write numbers"),
        (("--burstiness", "0"), "--burstiness is '0'; each must be above 0"),
        (("--cap", "31"), "the cap is 31, and no problem of svamp has more than 30 samples"),
        (("gone.jsonl",), "gone.jsonl"),
    ],
)
def test_what_cannot_be_measured_is_refused(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    result = invoke("--programs", "10", "--out", tmp_path / "o.jsonl", *arguments)
    assert result.exit_code == 2
    assert told in result.stderr


def test_the_queue_is_measured_against_first_come_first_served() -> None:
    rows = measure_queue(10, repeats=1)
    assert [row.ordering for row in rows] == ["fcfs", "gang+sjf", "dynasor"]
    assert rows[0].ratio == 1.0
    assert all(row.us_per_event > 0 for row in rows)
