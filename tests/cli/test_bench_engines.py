from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from dynasor.bench import engine_backends
from dynasor.bench.engine_cancel import AbandonTrial, CancelTrial
from dynasor.bench.engine_rows import Row, abandon_row, cancel_row, speed_rows
from dynasor.cli import main
from dynasor.cli.engine_tables import print_engines
from support.commands import finish, start


@pytest.mark.slow
def test_the_embedded_engine_is_measured(tmp_path: Path) -> None:
    small = ("--engine", "embedded", "--repeats", "2", "--window", "1", "--cancels", "2")
    code, out, err = finish(start("bench", "engines", *small, "--out", "new/engines.jsonl", cwd=tmp_path), 300)
    assert code == 0, err
    assert "slot free within 50 ms" in out
    origin, *rows = map(msgspec.json.decode, (tmp_path / "new" / "engines.jsonl").read_bytes().splitlines())
    assert {"command", "commit", "machine", "date", "load_before", "load_after"} <= origin.keys()
    assert origin["engines"]["embedded"].startswith("xllamacpp 2")
    assert [row["measure"] for row in rows] == ["speed"] * 3 + ["cancel", "abandon"]
    assert [row["concurrency"] for row in rows[:3]] == [1, 8, 32]
    assert all(len(row["repeats"]) == 2 and row["tokens_per_s"]["least"] > 1 for row in rows[:3])
    assert 0 < rows[3]["told"]["median_ms"] <= rows[3]["freed"]["median_ms"]
    assert rows[4]["lost_tokens"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "there is no vLLM in nowhere; make it with scripts/vllm-environment, or take --engine embedded"),
        (("--repeats", "0"), "--repeats is 0; it must be at least 1"),
        (("--window", "0"), "--window is 0; it must be at least 1"),
        (("--cancels", "-1"), "--cancels is -1; it must be at least 1"),
    ],
)
def test_bad_input(arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(engine_backends, "ENVIRONMENT", Path("nowhere"))
    result = CliRunner().invoke(main, ["bench", "engines", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "results").exists()


def test_the_tables_fit_into_80_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    rows: list[Row] = []
    for concurrency in (1, 32):
        rows += speed_rows({"embedded": [12345.0, 12399.0], "vllm": [1234.0, 1199.0]}, concurrency)
    rows += [cancel_row(name, 8, [CancelTrial(0.5, 0.123, 0.0004, 0.4567)] * 20, 0) for name in ("embedded", "vllm")]
    rows += [
        abandon_row("embedded", 8, [AbandonTrial(0.123, 0.234, None)]),
        abandon_row("vllm", 8, [AbandonTrial(0.001, 0.5, 39.0)]),
    ]
    print_engines(rows)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "tokens/s embedded vllm ratio" in lines
    assert "32 at once 12,372 [12,345, 12,399] 1,216 [1,199, 1,234] 10.17 [10.00, 10.34]" in lines
    assert "slot free, the next one served 457 / 457 / 457 457 / 457 / 457" in lines
    assert "slot free within 50 ms 0 of 20 0 of 20" in lines
    assert "tokens generated for nobody – 39 [39, 39]" in lines
