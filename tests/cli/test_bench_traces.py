from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from dynasor.cli import main
from support.traces import BEAM, PROBED, write_trace


@pytest.mark.slow
def test_one_command_for_all_traces_of_a_folder(tmp_path: Path) -> None:
    traces = tmp_path / "traces"
    traces.mkdir()
    write_trace(traces / "probed.jsonl", PROBED)
    write_trace(traces / "search.jsonl", BEAM)
    out = tmp_path / "out"
    result = CliRunner().invoke(main, ["bench", "traces", str(traces), "--quick", "--judge-code", "--out", str(out)])
    assert result.exit_code == 0, result.output
    origin, *rows = map(msgspec.json.decode, (out / "rows.jsonl").read_bytes().splitlines())
    assert origin["seeds"] == "0 to 1"
    assert {row["trace"] for row in rows} == {"probed", "search"}
    assert "### probed: 1 problems" in (out / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gone",), "no such trace: gone"),
        (("t.jsonl", "--orders", "0"), "--orders is 0; it must be at least 1"),
        (("t.jsonl", "--probe-tokens", "0"), "--probe-tokens is 0; it must be at least 1"),
    ],
)
def test_bad_input(arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_trace(tmp_path / "t.jsonl", PROBED)
    result = CliRunner().invoke(main, ["bench", "traces", *arguments])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert message in result.stderr
