"""The study in small, live on the embedded engine: run, gone on with after an interruption, drawn without an engine."""

import shutil
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from dynasor.cli import main

pytestmark = pytest.mark.slow


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["bench", "algorithms", "--quick", "--problems", "6", *arguments])


def test_a_study_is_run_resumed_and_drawn_again(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    out = tmp_path / "study"
    first = bench("--arms", "branches,plain,probed-16,rebase-4-reward", "--out", str(out))
    assert first.exit_code == 0, first.output
    assert "branches took" in first.output
    second = bench("--out", str(out))
    assert second.exit_code == 0, second.output
    assert "2 of 6 arms are left" in second.output
    assert "branches took" not in second.output
    rows = (out / "rows.jsonl").read_bytes().splitlines()[1:]
    curves = {msgspec.json.decode(row)["curve"] for row in rows}
    assert {"sc", "probed-cot", "guided", "thinking", "rebase best, reward", "mcts votes, reward"} <= curves
    shutil.rmtree(out / "runs")
    third = bench("--no-runs", "--out", str(out))
    assert third.exit_code == 0, third.output
    assert "arms are left" not in third.output
    assert (out / "rows.jsonl").read_bytes().splitlines()[1:] == rows


@pytest.mark.parametrize(
    ("arguments", "told"), [(("--arms", "branchs"), "branchs"), (("--no-runs",), "has answered all problems yet")]
)
def test_what_cannot_be_is_refused_in_one_line(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    result = bench(*arguments, "--out", str(tmp_path))
    assert result.exit_code == 2
    assert told in result.output
