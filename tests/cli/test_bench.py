import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from dynasor.cli import main

pytestmark = pytest.mark.slow


def write_trace(path: Path, problems: int = 24, samples: int = 10) -> None:
    rows = [
        {
            "id": f"q{n}",
            "gold": "1",
            "samples": [
                {"answer": "1" if (n + i) % 4 else str(i), "tokens": 20 + i, "correct": bool((n + i) % 4)}
                for i in range(samples)
            ],
        }
        for n in range(problems)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_policies_writes_its_tables_with_their_origin(tmp_path: Path) -> None:
    traces = tmp_path / "traces"
    traces.mkdir()
    write_trace(traces / "tiny.jsonl")
    write_trace(traces / "short.jsonl", samples=3)
    out = tmp_path / "out"
    arguments = ["bench", "policies", str(traces), "--caps", "5,10,20", "--orders", "2", "--out", str(out)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    origin, *rows = map(msgspec.json.decode, (out / "rows.jsonl").read_bytes().splitlines())
    assert origin["seeds"] == "0 to 1"
    assert {"command", "commit", "machine", "date"} <= origin.keys()
    assert {row["cap"] for row in rows} == {5, 10}
    assert all(row["lossless"] for row in rows if row["name"].startswith("decided") and "static" not in row["name"])
    page = (out / "README.md").read_text()
    assert "### Cap 10: 24 problems, 2 orders" in page
    assert "## short" in page
    assert "Left out: fewer than 5 samples a problem." in page


def test_runner_measures_every_size_in_a_process_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "runner.jsonl"
    result = CliRunner().invoke(main, ["bench", "runner", "--sizes", "5,50", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "programs/s" in result.output
    origin, *measured = map(msgspec.json.decode, out.read_bytes().splitlines())
    assert origin["policy"] == "static:threshold=0.7,detect_at=5"
    assert [row["problems"] for row in measured] == [5, 50]
    assert all(row["branches"] == 20 * row["problems"] for row in measured)
    assert all(row["us_per_branch"] > 0 and row["peak_mib"] > 0 for row in measured)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("policies", "gone"), "no such trace: gone"),
        (("runner", "--sizes", "ten"), "--sizes is 'ten'; write whole numbers"),
        (("runner", "--sizes", "5,0"), "--sizes has 0; it must be at least 1"),
        (("runner", "--policy", "bogus"), "unknown policy 'bogus' (known: beta,"),
        (("policies", ".", "--orders", "0"), "--orders is 0; it must be at least 1"),
        (("policies", ".", "--workers", "0"), "--workers is 0; it must be at least 1"),
        (("policies", ".", "--caps", "-5"), "--caps has -5; it must be at least 1"),
    ],
)
def test_bad_input(arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_trace(tmp_path / "tiny.jsonl", problems=1)
    result = CliRunner().invoke(main, ["bench", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
