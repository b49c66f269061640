"""`dynasor bench virtual`: both sides in virtual time, the one in the interpreter of vLLM."""

import os
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from dynasor.bench.vllm_options import ENVIRONMENT
from dynasor.cli import main


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["bench", "virtual", *map(str, arguments)])


@pytest.mark.vllm
@pytest.mark.slow
@pytest.mark.xdist_group("vllm")
def test_arms_are_served_on_both_sides(tmp_path: Path) -> None:
    if not ENVIRONMENT.exists() and not os.environ.get("CI"):
        pytest.skip(f"there is no {ENVIRONMENT.name}; make it with scripts/vllm-environment")
    out = tmp_path / "new" / "virtual.jsonl"
    result = invoke("svamp", "--programs", 12, "--load", 0.9, "--room", 12, "--out", out)
    assert result.exit_code == 0, result.output
    origin, *rows = map(msgspec.json.decode, out.read_bytes().splitlines())
    assert {"command", "commit", "machine"} <= origin.keys()
    assert len(rows) == 10
    roomy = [row for row in rows if row["arm"]["room"] is None and not row["arm"]["inside"]]
    assert [row["simulated"] for row in roomy] == [row["vllm"] for row in roomy]
    assert all(row["vllm"]["preemptions"] > 0 for row in rows if row["arm"]["room"] and row["arm"]["policy"] == "even")
    assert "svamp, all memory:\n  fcfs, even" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--load", "0"), "--load is 0; it must be above 0"),
        (("--programs", "many"), "--programs is 'many'; write whole numbers"),
        (("--programs", "1"), "--programs has 1; it takes at least 2"),
    ],
)
def test_what_cannot_be_is_refused(arguments: tuple[str, ...], message: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert message in result.output
