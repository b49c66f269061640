"""`dynasor bench simulator`: rows with their origin."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from dynasor.cli import main

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


def test_the_engine_alone_gets_the_same_requests(tmp_path: Path) -> None:
    out = tmp_path / "alone.jsonl"
    result = invoke("--sizes", "200", "--replicas", 2, "--alone", "--out", out)
    assert result.exit_code == 0, result.output
    row = msgspec.json.decode(out.read_bytes().splitlines()[1])
    assert (row["requests"], row["alone"], row["ordering"]) == (200, True, "fcfs")
    assert row["tokens"] > 100 * 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sizes", "ten"), "--sizes is 'ten'; write whole numbers"),
        (("--sizes", "5"), "--sizes has 5; a program alone makes 20 requests"),
    ],
)
def test_what_is_refused(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
