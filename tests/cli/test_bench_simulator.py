"""`dynasor bench simulator`: rows with their origin, and the bounds that every ordering is held against."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from dynasor.cli import main
from dynasor.launch.order_study import OrderPlan, run_orders

pytestmark = pytest.mark.slow


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["bench", "simulator", *map(str, arguments)])


def test_speed_is_measured_for_every_size(tmp_path: Path) -> None:
    out = tmp_path / "new" / "speed.jsonl"
    result = invoke("--sizes", "100,200", "--replicas", 2, "--out", out)
    assert result.exit_code == 0, result.output
    origin, *rows = map(msgspec.json.decode, out.read_bytes().splitlines())
    assert {"command", "commit", "machine"} <= origin.keys()
    assert [row["requests"] for row in rows] == [100, 200]
    assert all(row["cpu_s"] > 0 and row["tokens"] > 100 * row["requests"] for row in rows)
    assert result.stdout.count("requests on 2") == 2


def test_orderings_are_held_against_the_oracle_and_gang() -> None:
    plan = OrderPlan(trace="svamp", cap=10, policy="even", programs=60, sequences=16, burstiness=3.0)
    rows = {row.ordering: row for row in run_orders(plan, ("fcfs", "gang", "oracle"))}
    assert rows["oracle"].against_oracle == 0.0
    assert rows["gang"].tail == 1.0
    assert rows["oracle"].mean_s < rows["gang"].mean_s
    assert rows["fcfs"].mean_s == rows["gang"].mean_s, "all requests of a program come at once under this policy"
    assert rows["gang"].against_oracle == pytest.approx(rows["gang"].mean_s / rows["oracle"].mean_s - 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sizes", "ten"), "--sizes is 'ten'; write whole numbers"),
        (("--sizes", "5"), "--sizes has 5; a program alone makes 20 requests"),
        (("gone.jsonl", "--out", "x.jsonl"), "gone.jsonl"),
    ],
)
def test_what_is_refused(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
