"""What is done is kept and not done again; the goals follow from the rows; the command writes page, plots and rows."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from dynasor.bench.offline_arms import OURS_TUNED
from dynasor.bench.offline_goals import ahead, behind, goals
from dynasor.bench.offline_page import page
from dynasor.bench.offline_rows import (
    ORACLE,
    ArmRow,
    Duel,
    Facts,
    Origin,
    Result,
    read_result,
    write_result,
)
from dynasor.bench.offline_study import OfflinePlan, evaluated, file_of, run_offline
from dynasor.bench.offline_workloads import SCHOOL
from dynasor.cli import main
from dynasor.clock import WallClock
from dynasor.metrics.intervals import Estimate


def exactly(value: float) -> Estimate:
    return Estimate(value, value, value)


def row(arm: str, saved: float, difference: Estimate | float = 0.0, times: float = 2.0, side: str = "ours") -> ArmRow:
    found = difference if isinstance(difference, Estimate) else exactly(difference)
    return ArmRow(arm, side, 30, {}, exactly(100.0), exactly(0.8), exactly(saved), found, exactly(times))


def result(name: str, ours: ArmRow, rule: ArmRow, duel: Duel, kind: str = SCHOOL) -> Result:
    facts = Facts(
        name, "m", "t", kind, "", 50, 30, impossible=0.2, excess={"wrong at the cap": 0.5, "right later": 0.5}
    )
    return Result(Origin({}, {}, 1.0), facts, (ours, rule, row(ORACLE, 0.9, times=1.0, side=ORACLE)), (duel,))


LOSS = Estimate(-0.02, -0.03, -0.01)
BETA = row("beta 0.95", 0.4, side="neighbour")
FEWER, MORE = Duel("beta 0.95", exactly(0.9), exactly(0.0)), Duel("beta 0.95", exactly(1.1), exactly(0.0))


def test_ahead_is_fewer_tokens_at_no_significant_loss() -> None:
    ours = row(OURS_TUNED, 0.5)
    assert ahead(ours, BETA, FEWER)
    assert not ahead(ours, BETA, MORE)
    assert not ahead(row(OURS_TUNED, 0.5, LOSS), BETA, FEWER), "ours loses to even"
    assert not ahead(ours, BETA, Duel("beta 0.95", exactly(0.9), LOSS)), "ours loses to the rule"
    assert ahead(ours, row("beta 0.95", 0.4, LOSS), MORE), "the rule is not at equal accuracy"


def test_goals_are_met_or_missed_by_the_rows_alone() -> None:
    good = result("good", row(OURS_TUNED, 0.5, times=1.4), BETA, FEWER)
    saving, leading, near = goals([good])
    assert saving.met
    assert leading.met
    assert near.met
    assert near.found == "1.40 times"
    poor = result("poor", row(OURS_TUNED, 0.4, times=3.0), BETA, MORE)
    saving, leading, near = goals([good, poor])
    assert (saving.met, saving.found) == (False, "1 of 2 workloads")
    assert "poor: 40.0 % saved, short by 7.0 points" in saving.reasons[0]
    assert "the oracle saves 90.0 %" in saving.reasons[0]
    assert (leading.met, leading.found) == (False, "1 of 2 workloads (50 %)")
    assert behind(poor) == ["beta 0.95"]
    assert (near.met, near.found) == (False, "2.20 times")
    assert "would bring the median to 1.60 times" in near.reasons[-1], "1.2 and 2.0 where half of the excess is gone"
    assert goals([]) == []


def test_other_kinds_are_not_held_to_the_saving_of_school_problems() -> None:
    saving, *_ = goals([result("code", row(OURS_TUNED, 0.1), BETA, FEWER, kind="code")])
    assert saving.found == "0 of 0 workloads"
    assert saving.reasons == ()


def test_rows_are_read_as_they_were_written_and_half_a_file_is_none(tmp_path: Path) -> None:
    written = result("w", row(OURS_TUNED, 0.5), BETA, FEWER)
    write_result(written, tmp_path / "rows" / "w.jsonl")
    assert read_result(tmp_path / "rows" / "w.jsonl") == written
    (tmp_path / "torn.jsonl").write_bytes((tmp_path / "rows" / "w.jsonl").read_bytes()[:-20])
    assert read_result(tmp_path / "torn.jsonl") is None
    assert read_result(tmp_path / "none.jsonl") is None


def traced(path: Path, count: int, samples: int) -> Path:
    """Every other problem is answered in one way, the others in many."""
    lines = [
        {
            "id": f"q{n}",
            "gold": "a",
            "samples": [
                {
                    "answer": "a" if n % 2 else "abcde"[(k + n) % 5],
                    "tokens": 10,
                    "correct": n % 2 == 1 or (k + n) % 5 == 0,
                }
                for k in range(samples)
            ],
        }
        for n in range(count)
    ]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_workload_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    trace = str(traced(tmp_path / "any.jsonl", 20, 6))
    plan = OfflinePlan((trace,), caps=(5,), orders=1, divided=1, workers=1)
    (first,) = run_offline(plan, tmp_path, {"command": "x"})
    assert not first.facts.left_out
    assert {each.cap for each in first.arms} == {5, 6}
    (again,) = run_offline(plan, tmp_path, {"command": "y"})
    assert again == first
    assert file_of(trace, tmp_path).is_file()
    (other,) = run_offline(replace(plan, orders=2), tmp_path, {"command": "y"})
    assert other.origin.provenance == {"command": "y"}
    assert other.origin.settings["orders"] == 2


def test_what_cannot_be_replayed_is_left_out_with_its_reason(tmp_path: Path) -> None:
    plan = OfflinePlan((), orders=1)
    short = evaluated(str(traced(tmp_path / "short.jsonl", 20, 3)), plan, {}, WallClock())
    assert "fewer than 5 samples" in short.facts.left_out
    log = tmp_path / "log.jsonl"
    log.write_text('{"id": "g", "steps": []}')
    left_out = evaluated(str(log), plan, {}, WallClock())
    assert "is a search log" in left_out.facts.left_out
    assert any("is a search log" in line for line in page([left_out], {}))


@pytest.mark.slow
def test_the_command_writes_page_plots_and_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    traced(tmp_path / "any.jsonl", 20, 6)
    done = CliRunner().invoke(main, ["bench", "offline", "any.jsonl", "--quick", "--workers", "1"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "runs/offline/workloads/any.jsonl").is_file()
    written = (tmp_path / "runs/offline/offline.md").read_text()
    assert "## any" in written
    for plot in ("accuracy", "tokens", "difficulty", "thresholds"):
        assert (tmp_path / f"runs/offline/offline-{plot}.png").stat().st_size > 1000
        assert f"(offline-{plot}.png)" in written
    assert max(map(len, done.output.splitlines()[-8:-4])) <= 80


def test_wrong_options_are_refused_in_a_line(tmp_path: Path) -> None:
    trace = str(traced(tmp_path / "any.jsonl", 20, 6))
    for arguments, said in (
        ([trace, "--caps", "five"], "--caps is 'five'"),
        ([trace, "--caps", "1"], "two branches"),
        ([str(tmp_path / "empty")], "no recordings"),
        ([trace, str(tmp_path / "again" / "any.jsonl")], "named any"),
    ):
        (tmp_path / "empty").mkdir(exist_ok=True)
        done = CliRunner().invoke(main, ["bench", "offline", *arguments])
        assert done.exit_code != 0
        assert said in str(done.exception) + done.output
