import json
import signal
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

from dynasor.cli import main
from dynasor.journal.journal import read_journal
from dynasor.journal.records import Landed
from dynasor.request import RequestId
from support.commands import finish, start

SVAMP = ("--trace", "svamp", "--problems", 12, "--cap", 6)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def demo(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["demo", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.slow
def test_the_demo_ends_with_a_table_and_a_page(here: Path) -> None:
    code, out, err = demo(*SVAMP)
    assert code == 0, err
    assert "12 problems that every run has finished" in out
    assert "runs/demo/report/report.html" in out
    assert "nothing was live: all of it replays svamp" in out
    assert "dynasor: even: 12 of 12 problems" in err
    assert "dynasor: certaindex: 12 of 12 problems" in err
    page = (here / "runs/demo/report/report.html").read_text()
    assert "even, cap 5" in page
    assert "even, cap 6" in page


@pytest.mark.slow
def test_the_demo_run_again_goes_on(here: Path) -> None:
    demo(*SVAMP, "--quiet")
    before = (here / "runs/demo/even/journal.jsonl").read_bytes()
    code, _, err = demo(*SVAMP)
    assert (code, err.count("resuming")) == (0, 2)
    assert (here / "runs/demo/even/journal.jsonl").read_bytes() == before
    code, _, err = demo("--trace", "svamp", "--problems", 15, "--cap", 6)
    assert (code, "12 of 15" in err) == (0, True), "more problems are the same demo, and replays follow"
    code, _, err = demo("--trace", "svamp", "--cap", 7)
    assert (code, "cap was 6 and is now 7" in err) == (2, True)


@pytest.mark.slow
def test_where_one_arm_cannot_be_the_other_stops_too(here: Path) -> None:
    strange = ["run", "--trace", "svamp", "--limit", "3", "--cap", "6", "--policy", "beta", "--out", "d/certaindex"]
    assert CliRunner().invoke(main, strange).exit_code == 0
    code, _, err = demo("--trace", "svamp", "--problems", 999, "--cap", 6, "--out", "d")
    assert (code, "and is now 'decided+" in err) == (2, True)
    assert len((here / "d/even/answers.jsonl").read_text().splitlines()) < 999


@pytest.mark.slow
def test_json_is_all_there_is(here: Path) -> None:
    code, out, err = demo(*SVAMP, "--json", "--out", "d")
    assert code == 0
    assert (here / "d/report/report.png").exists()
    rows = {row["label"]: row for row in json.loads(out)["rows"]}
    assert len(rows) == 4, "two policies, at caps 5 and 6"
    (saved,) = [row["tokens_saved"] for row in rows.values() if row["runs"] == ["d/certaindex"]]
    assert 0 < saved["low"] <= saved["value"] <= saved["high"] < 1
    assert "problems, " not in err


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ((*SVAMP, "--cap", 3), "first judges at 5 branches, and the cap is 3; raise the cap"),
        (("--trace", "gone"), "no such file: gone"),
        (("--model", "gone.gguf"), "gone.gguf"),
        (("--model", "builtin", "--trace", "svamp"), "give one of them"),
        (("--problems", 1), "1 is not in the range"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(here: Path, arguments: tuple[object, ...], fault: str) -> None:
    code, _, err = demo(*arguments)
    assert (code, fault in err) == (2, True), err
    assert not list(here.iterdir())


def test_help_is_there_with_examples() -> None:
    code, out, _ = demo("--help")
    assert code == 0
    assert "dynasor demo --problems 40 --cap 10" in out


needs_model = pytest.mark.skipif(find_spec("xllamacpp") is None, reason="needs the extra: embedded")


@pytest.mark.slow
@needs_model
def test_the_built_in_model_answers_live(tmp_path: Path) -> None:
    code, out, err = finish(start("demo", "--problems", 6, "--cap", 6, cwd=tmp_path))
    assert code == 0, err
    assert "6 problems that every run has finished" in out
    assert "live: all branches at cap 6; at smaller caps, the branches of runs/demo/even were replayed" in out


@pytest.mark.slow
@needs_model
def test_an_interrupted_demo_pays_for_nothing_twice(tmp_path: Path) -> None:
    command = ("demo", "--problems", 20, "--cap", 6, "--out", "d")
    process = start(*command, cwd=tmp_path)
    assert process.stderr is not None
    assert "of 20 problems" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert (code, "the same command goes on from here" in err) == (130, True), err
    paid = landed(tmp_path / "d/even/journal.jsonl")
    assert paid
    code, _, err = finish(start(*command, cwd=tmp_path))
    assert (code, err.count("resuming") > 0) == (0, True), err
    total = landed(tmp_path / "d/even/journal.jsonl")
    assert total[: len(paid)] == paid
    assert len(total) == len(set(total)) == 20 * 6


def landed(journal: Path) -> list[RequestId]:
    return [record.completion.id for record in read_journal(journal) if isinstance(record, Landed)]
