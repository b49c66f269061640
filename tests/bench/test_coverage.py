"""Splits of a recording: halves without a problem in common, whether promises were kept, and what is kept of it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dynasor.bench.coverage import Coverage, Tried, coverage, exceeding, exceeding_on_all, mean_saving
from dynasor.bench.coverage_study import FEWEST_PROBLEMS, largest_cap
from dynasor.calibration.calibrate import FITTING_SHARE, calibrated, divided
from dynasor.calibration.candidates import DECIDED
from dynasor.calibration.guarantee import Promise
from dynasor.calibration.outcomes import measured
from dynasor.calibration.profile import profiled
from dynasor.cli import main
from dynasor.metrics.intervals import wilson
from dynasor.programs.self_consistency import SelfConsistency
from support.profiles import setup_at, synthetic
from support.traces import write_samples

PROMISE, STRICT = Promise(0.1, 0.9), Promise(0.01, 0.95)


def test_a_promise_is_broken_where_more_is_lost_than_was_promised() -> None:
    losses = ((0.0, 0.2), (0.1, 0.0), (0.11, 0.0), (-0.1, 0.05))
    tried = tuple(Tried("x" if n else "decided", *pair, 0.4) for n, pair in enumerate(losses))
    found = Coverage(PROMISE, tried, tried[:1], (0.3,))
    assert exceeding(tried, PROMISE) == wilson(1, 4)
    assert exceeding_on_all(tried, PROMISE) == wilson(1, 4)
    assert found.promised_more == 0.75
    assert mean_saving(tried) == pytest.approx(0.4)


@pytest.mark.slow
def test_each_split_is_chosen_on_one_half_and_tried_on_the_other() -> None:
    profiles = profiled(synthetic(80, 8, seed=5), SelfConsistency, setup_at(8), orders=1)
    found, strict = coverage(profiles, [PROMISE, STRICT], splits=3)
    assert (found.promise, strict.promise) == (PROMISE, STRICT)
    calibration, test = divided(profiles, 0.5, 1)
    assert not {p.id for p in calibration} & {p.id for p in test}
    again = calibrated(calibration, PROMISE, seed=1).chosen.candidate
    fitting, testing = divided(calibration, FITTING_SHARE, 1)
    there = measured(again, test)
    assert found.promised[1] == Tried(again.text, there.loss, measured(again, [*testing, *test]).loss, there.saved)
    assert not {p.id for p in fitting} & {p.id for p in [*testing, *test]}
    assert mean_saving(found.tuned) >= mean_saving(found.promised) > 0.3
    assert {tried.policy for tried in strict.promised} == {DECIDED.text}, "forty problems are too few"
    assert coverage(profiles, [PROMISE, STRICT], splits=3) == [found, strict]


def test_the_largest_cap_is_one_that_enough_problems_have_samples_for() -> None:
    assert largest_cap(synthetic(FEWEST_PROBLEMS, 16, seed=1)) == 15
    assert largest_cap(synthetic(FEWEST_PROBLEMS - 1, 16, seed=1)) is None
    assert largest_cap(synthetic(FEWEST_PROBLEMS, 4, seed=1)) is None


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["bench", "coverage", *map(str, arguments)])


@pytest.mark.slow
def test_a_study_leaves_its_rows_its_page_and_its_figure_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("traces").mkdir()
    write_samples(Path("traces/one.jsonl"), synthetic(60, 6, seed=6))
    write_samples(Path("traces/few.jsonl"), synthetic(9, 6, seed=6))
    assert (result := invoke("traces", "--splits", 2, "--workers", 1, "--out", "out")).exit_code == 0, result.output
    origin, *rows = map(json.loads, Path("out/rows.jsonl").read_text().splitlines())
    assert (origin["splits"], origin["confidence"]) == (2, 0.95)
    assert [row.get("tolerance") for row in rows if row["trace"] == "one"] == [0.005, 0.01, 0.02, 0.05]
    assert rows[0]["left_out"] == "fewer than 40 problems with 5 samples"
    page = Path("out/README.md").read_text()
    assert page.count("| one | 60 | 5 |") == 4
    assert "- few: fewer than 40 problems with 5 samples" in page
    assert Path("out/coverage.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr("dynasor.bench.coverage_study.study_trace", None)  # whoever asked it would be told
    assert invoke("traces", "--splits", 2, "--workers", 1, "--out", "out").exit_code == 0
    assert [json.loads(line) for line in Path("out/rows.jsonl").read_text().splitlines()][1:] == rows


def test_what_is_no_study_or_no_trace_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("gone")
    assert (result.exit_code, "no such trace: gone" in result.output) == (2, True)
    write_samples(Path("one.jsonl"), synthetic(60, 6, seed=6))
    Path("rows.jsonl").write_text('{}\n{"trace": 5}\n')
    result = invoke("one.jsonl", "--out", ".")
    assert (result.exit_code, "rows.jsonl holds no rows of this study" in result.output) == (2, True)
