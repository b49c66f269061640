import json
from pathlib import Path

import pytest

from dynasor.bench.gain_study import GainPlan, contenders, cross_fitted, largest_cap, run_gain
from dynasor.bench.gain_tables import write_gain
from dynasor.bench.policy_study import Study, fold_of
from dynasor.datasets.problem import Problem, Recording
from dynasor.request import Sample

PLAN = GainPlan((), prices=(0.001,), orders=1)


def recording(name: str, answers: str) -> Recording:
    verdicts = {"a": 1.0, "b": 0.0}
    return Recording(Problem(name, "?", verdicts=verdicts), tuple(Sample(answer, 10) for answer in answers))


def traced(path: Path, count: int, samples: int) -> Path:
    sample = {"answer": "a", "tokens": 10, "correct": True}
    lines = [json.dumps({"id": f"q{n}", "gold": "a", "samples": [sample] * samples}) for n in range(count)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_the_largest_cap_is_one_that_enough_problems_have_samples_for() -> None:
    assert largest_cap([recording(f"{n}", "a" * 22) for n in range(20)]) == 20
    assert largest_cap([recording(f"{n}", "a" * 22) for n in range(19)]) is None
    assert largest_cap([recording(f"{n}", "a" * 14) for n in range(20)]) is None


def test_no_problem_is_answered_by_what_was_learned_from_it() -> None:
    """One fold agrees always, the other never: what each is given was learned on the other."""
    both = [recording(f"{n}", "a" * 15 if fold_of(f"{n}") else "abcdefghijklmno") for n in range(40)]
    (fitted,) = cross_fitted(both, 15, PLAN).values()
    assert all(state.groups == 1 for state in fitted[0].stops)
    assert all(state.leader == 1 for state in fitted[1].stops)
    found = {contender.name: contender for contender in contenders(both, 15, PLAN)}
    for name in ("0", "1", "2", "3"):
        assert found["gain 0.001"].policy_of(name) == fitted[fold_of(name)]
    assert {"decided", "static 0.7 at 5", "beta 0.95", "windows of 5", "beta + gain 0.001"} < found.keys()


@pytest.mark.slow
def test_a_study_leaves_its_rows_and_its_page(tmp_path: Path) -> None:
    traces = (traced(tmp_path / "easy.jsonl", 20, 15), traced(tmp_path / "short.jsonl", 20, 5), tmp_path / "none.jsonl")
    studies = list(run_gain(GainPlan(traces, prices=(0.001,), orders=1)))
    write_gain(studies, {"command": "dynasor bench gain"}, tmp_path / "out")
    origin, *rows = (tmp_path / "out" / "rows.jsonl").read_text().splitlines()
    assert json.loads(origin) == {"command": "dynasor bench gain"}
    assert {json.loads(row)["trace"] for row in rows} == {"easy"}
    page = (tmp_path / "out" / "README.md").read_text()
    assert "| easy | 20 | 15 | 100.0 | 46.7 (+0.00) |" in page, "decided stops at eight of fifteen"
    assert "Left out: fewer than 15 samples a problem." in page
    assert page.count("Left out") == 2


def test_a_study_of_nothing_is_a_page_without_a_table(tmp_path: Path) -> None:
    write_gain([Study("short", (), "nothing")], {}, tmp_path)
    assert "| recording |" not in (tmp_path / "README.md").read_text()
