"""`dynasor report`: the table, the files, and what is said when something is missing."""

import json
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dynasor import __version__
from dynasor.cli.report import report
from dynasor.cli.tables import print_run
from dynasor.errors import UsageError
from dynasor.journal.records import Setting
from dynasor.runtime.tally import RunTally
from support.commands import finish, start
from support.journals import SyntheticRun, finished, write_run

LONG = "decided+static:threshold=0.7,detect_at=5"


def invoke(*arguments: object) -> Result:
    """Run the command; an error of ours comes out as itself."""
    return CliRunner(env={"COLUMNS": None}).invoke(report, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.chdir(tmp_path)
    SyntheticRun("even").write(Path("even"))
    SyntheticRun(LONG, effort=0.4, settings={"in_flight": True}).write(Path("certain"))
    return [Path("even"), Path("certain")]


@pytest.mark.slow
def test_it_prints_a_table_and_writes_picture_page_and_json(runs: list[Path]) -> None:
    result = invoke(*runs)
    assert result.exit_code == 0
    assert "accuracy" in result.stdout
    assert "wrote report/report.json, report/report.png, report/report.html" in result.stdout
    assert result.stderr == ""
    assert Path("report/report.png").read_bytes().startswith(b"\x89PNG")
    page = Path("report/report.html").read_text()
    assert page.count("<svg") == 2
    assert "dynasor report even certain" in page
    assert f"Dynasor {__version__} on 2" in page
    assert json.loads(Path("report/report.json").read_text())["problems"] == 200


def test_the_table_fits_eighty_columns_and_breaks_long_labels_at_their_signs(runs: list[Path]) -> None:
    lines = invoke(*runs, "--no-figures").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for beginning in ("run  ", "even  ", "decided+static:  ", "threshold=0.7,detect_at=5 [", "in flight  "):
        assert f"\n{beginning}" in text
    assert "\x1b" not in "".join(lines)


def test_the_table_says_what_the_json_says(runs: list[Path]) -> None:
    table = invoke(*runs, "--no-figures").stdout
    certain = json.loads(invoke(*runs, "--json").stdout)["rows"][1]
    saved, gained = certain["tokens_saved"], certain["accuracy_gained"]
    assert f"{100 * saved['value']:.1f} %" in table
    assert f"[{100 * saved['low']:.1f}, {100 * saved['high']:.1f}]" in table
    assert f"[{100 * gained['low']:+.1f}, {100 * gained['high']:+.1f}]" in table
    assert f"{certain['tokens_per_problem']['value']:,.0f}" in table


def test_json_is_all_that_is_printed_and_nothing_is_written(runs: list[Path]) -> None:
    result = invoke(*runs, "--json")
    assert [row["label"] for row in json.loads(result.stdout)["rows"]] == ["even", f"{LONG} in flight"]
    assert result.stderr == ""
    assert not Path("report").exists()


def test_json_is_ascii_whatever_the_terminal_can_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in (0, 1):
        SyntheticRun("even", count=3, seed=seed).write(Path(f"even{seed}"))
    printed = invoke("even0", "even1", "--json").stdout
    assert printed.isascii()
    assert json.loads(printed)["rows"][0]["label"] == "even × 2 seeds"


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["report", "even", "certain", "--no-figures"],
        ["run", "--trace", "svamp", "--policy", "even", "--cap", "1", "--limit", "1", "--out", "é"],
    ],
)
def test_a_terminal_of_ascii_is_no_reason_to_fail(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    code, out, err = finish(start(*arguments, cwd=Path.cwd()))
    assert runs
    assert (code, "Traceback" in err) == (0, False)
    assert "accuracy" in out
    assert out.isascii()


def test_json_with_out_prints_and_writes_the_same(runs: list[Path]) -> None:
    result = invoke(*runs, "--json", "--no-figures", "--out", "deep/er")
    assert json.loads(result.stdout) == json.loads(Path("deep/er/report.json").read_text())
    assert "wrote deep/er/report.json" in result.stderr


def test_without_figures_there_is_a_page_and_no_picture(runs: list[Path]) -> None:
    invoke(*runs, "--no-figures", "--out", "out")
    assert sorted(path.name for path in Path("out").iterdir()) == ["report.html", "report.json"]
    assert "<svg" not in Path("out/report.html").read_text()


@pytest.mark.parametrize(("missing", "flags"), [("matplotlib", []), ("jinja2", ["--no-figures"])])
def test_without_the_extra_there_is_a_table_and_one_line_on_what_it_adds(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch, missing: str, flags: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    result = invoke(*runs, *flags)
    assert result.exit_code == 0
    assert "accuracy" in result.stdout
    assert "wrote report/report.json\n" in result.stdout
    assert re.fullmatch(
        r"no picture and no page \(report\.png, report\.html\): .* pip install 'dynasor-serve\[report\]'\n",
        result.stderr,
    )


def test_a_baseline_can_be_chosen(runs: list[Path]) -> None:
    result = invoke(*runs, "--baseline", "certain", "--no-figures")
    assert f"against {LONG} in flight" in " ".join(result.stdout.split())
    assert "--baseline certain" in Path("report/report.html").read_text()


def test_notes_tell_marks_and_problems_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings: dict[str, Setting] = {"policy": "beta", "cap": 10, "seed": 0}
    records = [finished(name, tokens=400, even_recorded=True) for name in "pqr"]
    write_run(Path("a"), records, settings)
    write_run(Path("b"), [*records[1:], finished("s", tokens=400)], {**settings, "policy": "windows"})
    words = " ".join(invoke("a", "b", "--no-figures").stdout.split())
    assert "60.0 %*" in words
    assert "2 problems that every run has finished; left out, as only some have finished them: 2." in words
    assert "* against what even allocation takes" in words
    assert "†" not in words


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "no such directory: nowhere"),
        (["even", "--baseline", "x"], "no run here is called 'x'"),
        (["."], r"no journal\.jsonl in \.; it holds runs, name those: certain even"),
        (["even", "--out", "even/journal.jsonl"], "cannot write to even/journal.jsonl: .*; choose another --out"),
    ],
)
def test_bad_input_is_one_line_that_names_it(runs: list[Path], arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        invoke(*arguments)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    assert runs


def test_no_run_at_all_is_a_mistake() -> None:
    assert invoke().exit_code == 2


def test_help_shows_examples_as_they_are_typed() -> None:
    text = invoke("--help").stdout
    assert "\n    dynasor report runs/even runs/certain\n" in text
    assert "--baseline" in text
    assert max(map(len, text.splitlines())) <= 80


class TestOneRun:
    def test_its_result_is_a_few_lines(self, capsys: pytest.CaptureFixture[str]) -> None:
        print_run(tally(), Path("runs/a"), as_json=False)
        words = " ".join(capsys.readouterr().out.split())
        assert words.startswith("runs/a: 4 problems accuracy 75.0 % [30.1, 95.4] tokens 2,800 tokens per problem 700")
        assert "tokens saved 30.0 %" in words
        assert "against even allocation (estimated)" in words
        assert words.endswith("stopped by certain 75 %, cap 25 %")

    def test_or_its_summary(self, capsys: pytest.CaptureFixture[str]) -> None:
        print_run(tally(), Path("runs/a"), as_json=True)
        assert json.loads(capsys.readouterr().out) == tally().summary()

    def test_nothing_finished_is_said_without_numbers(self, capsys: pytest.CaptureFixture[str]) -> None:
        print_run(RunTally(), Path("runs/a"), as_json=False)
        printed = capsys.readouterr().out
        assert printed.startswith("runs/a: 0 problems")
        assert "nan" not in printed


def tally() -> RunTally:
    folded = RunTally()
    for name in "pqr":
        folded.add(finished(name, tokens=600, stopped_by="certain"))
    folded.add(finished("s", tokens=1000, correct=0.0))
    return folded
