"""`dynasor calibrate`: the table, the file, and what is refused."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dynasor.calibration.calibrate import Calibration, Trial
from dynasor.calibration.candidates import DECIDED
from dynasor.calibration.guarantee import Promise
from dynasor.calibration.policy_file import PolicyFile, read_policy_file, write_policy_file
from dynasor.cli import main
from dynasor.cli.calibrate import calibrate
from dynasor.cli.calibration_tables import cautions
from dynasor.datasets.problem import Problem, Recording
from dynasor.errors import UsageError
from dynasor.journal.journal import JournalWriter
from dynasor.journal.records import Landed, ProgramFinished, RunStarted, Setting
from dynasor.launch.launch import run
from dynasor.metrics.intervals import Estimate
from dynasor.request import Completion, ProgramId, RequestId
from support.past_runs import chain, past
from support.profiles import synthetic
from support.traces import write_samples


def invoke(*arguments: object) -> Result:
    """Run the command; an error of ours comes out as one line."""
    return CliRunner(env={"COLUMNS": None}).invoke(main, ["calibrate", *map(str, arguments)])


def write_run(directory: Path, recordings: list[Recording], **settings: Setting) -> None:
    directory.mkdir()
    with JournalWriter(directory / "journal.jsonl") as journal:
        known: dict[str, Setting] = {"policy": "even", "in_flight": False, "cap": 6, "model": "tiny", "algorithm": "sc"}
        journal.append(RunStarted(settings=known | settings, circumstances={}))
        for recording in recordings:
            name = recording.problem.id
            for index, sample in enumerate(recording.samples):
                id = RequestId(ProgramId(name), index)
                journal.append(Landed(answer=sample.answer, completion=Completion(id=id, tokens=sample.tokens)))
            journal.append(
                ProgramFinished(
                    program=name,
                    question=f"{name}?",
                    gold="a",
                    answer="a",
                    correct=1.0,
                    certaindex=1.0,
                    knob=6,
                    tokens=75,
                    stopped_by="cap",
                    even_tokens=75.0,
                )
            )


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_samples(Path("tiny.jsonl"), synthetic(60, 6, seed=6))
    return Path("tiny.jsonl")


GENEROUS = ("--cap", 6, "--tolerance", 20, "--confidence", 0.8, "--orders", 2)


def test_it_prints_the_candidates_and_writes_a_policy_with_its_promise_and_provenance(trace: Path) -> None:
    result = invoke(trace, *GENEROUS, "--out", "made/policy.toml")
    assert result.exit_code == 0, result.output
    assert len(re.findall(r"\bchosen\b", result.stdout)) == 1
    assert "at most 20 points below even, with 80 % confidence" in " ".join(result.stdout.split())
    assert "fitted on 15 problems, tested on 45 others" in result.stdout
    assert result.stdout.endswith("wrote made/policy.toml, made/policy.html\n")
    file = read_policy_file(Path("made/policy.toml"))
    assert file.policy.startswith("decided+")
    assert (file.promise["tolerance_points"], file.promise["confidence"], file.promise["lossless"]) == (
        20.0,
        0.8,
        False,
    )
    low, saved, high = (file.promise[f"saved_percent{end}"] for end in ("_low", "", "_high"))
    assert isinstance(low, float)
    assert isinstance(saved, float)
    assert isinstance(high, float)
    assert 30 < low < saved < high
    origin = file.provenance
    assert (origin["recording"], origin["model"], origin["algorithm"], origin["cap"]) == (
        "tiny",
        "as recorded",
        "sc",
        6,
    )
    assert len(str(origin["digest"])) == 64
    assert {"date", "command", "commit", "dynasor"} <= origin.keys()


def test_json_says_the_same_and_nothing_else(trace: Path) -> None:
    result = invoke(trace, *GENEROUS, "--json")
    found = json.loads(result.stdout)
    file = read_policy_file(Path("policy.toml"))
    assert (found["policy"], found["promise"]) == (file.policy, file.promise)
    chosen = next(each for each in found["candidates"] if each["policy"] == file.policy)
    assert chosen["passed"]
    assert chosen["p"] <= 0.2
    assert round(100 * chosen["saved"]["value"], 2) == file.promise["saved_percent"]
    assert found["candidates"][0]["policy"] == "decided"


def test_too_few_problems_are_told_how_many_would_do(trace: Path) -> None:
    result = invoke(trace, "--cap", 6, "--orders", 1)
    assert result.exit_code == 0, result.output
    assert read_policy_file(Path("policy.toml")).policy == "decided"
    text = " ".join(result.stdout.split())
    assert "no more than a decided vote can be promised with 60 problems" in text
    assert "for 0.5 points at 95 % it takes 955 where none loses anything" in text
    assert read_policy_file(Path("policy.toml")).promise["lossless"] is True


@pytest.mark.parametrize(
    ("needed", "told"),
    [
        (None, ["nothing tried here loses so little that more problems would do; raise the tolerance"]),
        (5000, ["as the safest candidate did here, about 5,000 problems would do"]),
        (955, []),
    ],
)
def test_how_many_would_do_is_told_of_problems_like_these(needed: int | None, told: list[str]) -> None:
    decided = Trial(DECIDED, Estimate(0.4, 0.3, 0.5), 0.0, 0.0, 0.0, passed=True)
    found = Calibration(Promise(0.005, 0.95), (decided,), decided, 15, 45, needed)
    assert cautions(found, 0, 6)[1:] == told


def test_the_chosen_policy_runs(trace: Path) -> None:
    invoke(trace, "--cap", 6, "--orders", 1)
    policy = read_policy_file(Path("policy.toml")).policy
    tally = run(trace=str(trace), cap=6, policy=policy, out=Path("out"))
    assert tally.finished == 60


def test_problems_with_too_few_samples_are_told_of(trace: Path) -> None:
    write_samples(
        trace, synthetic(20, 6, seed=6) + [r for r in synthetic(25, 4, seed=7) if int(r.problem.id[1:]) >= 20]
    )
    result = invoke(trace, "--cap", 6, "--orders", 1)
    assert "note: 5 problems with fewer than 6 samples, or unfinished, are left out" in result.stdout


def test_a_run_is_calibrated_on_by_its_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_run(Path("even"), synthetic(60, 6, seed=6))
    result = invoke("even", *GENEROUS)
    assert result.exit_code == 0, result.output
    origin = read_policy_file(Path("policy.toml")).provenance
    assert (origin["recording"], origin["model"]) == ("even", "tiny")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"algorithm": "rebase"}, "even is a run of rebase, whose width decides what is asked for"),
        ({"grouping": "symbolic"}, "even is a run of grouping symbolic; one of auto or text or normal-form can be"),
        ({"policy": "decided"}, "even is a run of policy decided"),
    ],
)
def test_a_run_that_is_no_ground_to_stand_on_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Setting], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_run(Path("even"), synthetic(8, 6, seed=6), **settings)
    result = invoke("even", *GENEROUS)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not Path("policy.toml").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--cap", 7), "the cap is 7, and no problem of the recording has as many samples; lower the cap"),
        (("--cap", 6, "--tolerance", 0), "tolerance, in points, is 0.0; it must be between"),
        (("--cap", 6, "--confidence", 1), "confidence is 1.0; it must be between"),
        (("--cap", 6, "--algorithm", "best-of-n"), "BestOfN does not answer by majority"),
        (("--cap", 6, "--algorithm", "sv"), "unknown algorithm 'sv'"),
        (("--cap", 6, "--orders", 1, "--out", "tiny.jsonl/policy.toml"), "choose another --out"),
        (("--cap", 6, "--orders", 1, "--page", "tiny.jsonl/page.html"), "choose another --page"),
        (("--cap", 6, "--problems", "words"), "both tiny.jsonl and --problems are to be calibrated on"),
        (("--cap", 6, "--temperature", 1), "--temperature is for a batch that is run here; leave it out, or add"),
    ],
)
def test_bad_input(trace: Path, arguments: tuple[object, ...], message: str) -> None:
    result = invoke(trace, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_help_shows_examples_as_they_are_typed() -> None:
    text = CliRunner().invoke(calibrate, ["--help"]).stdout
    assert "  dynasor calibrate svamp --cap 20 --tolerance 1\n" in text


def test_the_page_shows_the_promise_and_needs_nothing_else(trace: Path) -> None:
    invoke(trace, *GENEROUS, "--page", "shown/promise.html")
    page = Path("shown/promise.html").read_text()
    assert "at most <b>20&nbsp;points</b> below even allocation’s, with <b>80&nbsp;%</b> confidence" in page
    assert page.count("<svg") == 1
    assert page.count('class="chosen"') == 1
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert str(read_policy_file(Path("policy.toml")).provenance["digest"]) in page


@pytest.mark.slow
def test_a_policy_for_runs_in_flight_is_for_no_others(trace: Path) -> None:
    assert invoke(trace, *GENEROUS, "--in-flight").exit_code == 0
    with pytest.raises(UsageError, match=r"policy\.toml promises for runs in flight; add --in-flight"):
        run(trace=str(trace), cap=6, policy="policy.toml", out=Path("out"))
    assert run(trace=str(trace), cap=6, policy="policy.toml", in_flight=True, out=Path("out")).finished == 60
    assert invoke(trace, *GENEROUS).exit_code == 0
    with pytest.raises(UsageError, match="promises for grants that are waited for; leave out --in-flight"):
        run(trace=str(trace), cap=6, policy="policy.toml", in_flight=True, out=Path("other"))


def test_a_file_with_a_table_runs_and_resumes(trace: Path) -> None:
    table = "/".join(f"{n}@{n}-0-1 {n - 1}-1-2" for n in range(3, 6)) + "/" + " ".join(["2-2-2"] * 20).join(["6@", ""])
    write_policy_file(PolicyFile(policy=f"decided+gain:table={table}"), Path("gain.toml"))
    assert "table=tables.gain" in Path("gain.toml").read_text()
    tally = run(trace=str(trace), cap=6, policy="gain.toml", out=Path("out"))
    assert run(trace=str(trace), cap=6, policy="gain.toml", out=Path("out")).tokens == tally.tokens


@pytest.mark.slow
def test_a_run_of_chains_is_calibrated_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    many = [Problem(f"p{n}", "What is 1 + 1?", "2") for n in range(20)]
    monkeypatch.setattr("support.past_runs.PROBLEMS", many)
    past(Path("chains"), "probed-cot:interval=32", chain, cap=12)
    result = invoke("chains", "--cap", 12, "--tolerance", 30, "--confidence", 0.6, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["provenance"]["algorithm"] == "probed-cot"
    assert found["candidates"][0]["policy"] == "even"
    assert "decided" not in found["policy"]
    assert found["promise"]["saved_percent"] > 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--cap", 13), "the cap is 13, and chains is a run of cap 12; lower --cap"),
        (("--cap", 12, "--in-flight"), "only sc can be calibrated for runs in flight"),
        (("--cap", 12, "--algorithm", "sc"), "chains is a run of algorithm probed-cot; leave out --algorithm sc"),
    ],
)
def test_what_a_run_of_chains_is_no_ground_for_is_refused(
    arguments: tuple[object, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    past(Path("chains"), "probed-cot", chain, cap=12)
    result = invoke("chains", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_nothing_to_calibrate_on_is_told() -> None:
    result = invoke("--cap", 6)
    assert result.exit_code == 2
    assert "nothing to calibrate on: name a recording or a run, or --problems" in result.stderr


@pytest.mark.slow
def test_it_runs_the_labelled_batch_itself_and_goes_on_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("xllamacpp")
    command = ("--problems", "words", "--model", "builtin", "--cap", 2, "--limit", 8, "--max-tokens", 24)
    options = ("--tolerance", 40, "--confidence", 0.5, "--run", "batch", "--json")
    first = invoke(*command, *options)
    assert first.exit_code == 0, first.output
    assert len(Path("batch/journal.jsonl").read_text().splitlines()) == 1 + 8 * 2 + 8
    assert json.loads(first.stdout)["provenance"]["recording"] == "batch"
    again = invoke(*command, *options)
    assert json.loads(again.stdout)["candidates"] == json.loads(first.stdout)["candidates"]
