"""The larger public traces and problem sets, where they lie beside the checkout: all of them load, as counted."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dynasor.datasets.problem import judge
from dynasor.datasets.problem_sets import problem_set
from dynasor.datasets.recordings import read_recordings
from dynasor.errors import UsageError

_BESIDE_THE_CHECKOUT = Path(__file__).parents[2].parent / "shared" / "data"
SHARED = Path(os.environ.get("DYNASOR_SHARED_DATA", _BESIDE_THE_CHECKOUT))
INDEX = SHARED / "traces" / "index.json"
SEARCH_LOG = "gpt-4__game24_tot_bfs"
MANY_MODELS = "epoch-multi-model__otis_mock_aime"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not INDEX.exists(), reason="the shared data sets are not here")]

TRACES: dict[str, Any] = json.loads(INDEX.read_bytes()) if INDEX.exists() else {}


@pytest.mark.parametrize("name", sorted(TRACES.keys() - {SEARCH_LOG, MANY_MODELS}))
def test_a_trace_holds_what_its_index_says(name: str) -> None:
    expected = TRACES[name]["stats"]
    recordings = read_recordings(str(SHARED / "traces" / TRACES[name]["file"]))
    assert recordings.name == name
    questions = samples = tokens = empty = 0
    accuracy = 0.0
    for recording in recordings:
        questions += 1
        samples += len(recording.samples)
        tokens += sum(sample.tokens for sample in recording.samples)
        empty += sum(sample.answer is None for sample in recording.samples)
        marks = [judge(recording.problem, sample.answer) or 0.0 for sample in recording.samples]
        accuracy += sum(marks) / len(marks)
    assert questions == expected["questions"]
    assert samples == expected["samples_total"]
    assert accuracy / questions == pytest.approx(expected["single_acc"], abs=0.0005)
    assert tokens / samples == pytest.approx(expected["mean_tokens"], abs=0.06)
    assert empty / samples == pytest.approx(expected["null_answer_frac"], abs=0.0001)


def test_the_runs_of_many_models_are_told_apart() -> None:
    sizes: Counter[str] = Counter()
    for recording in read_recordings(str(SHARED / "traces" / f"{MANY_MODELS}.jsonl.zst")):
        sizes[recording.problem.id.rpartition("/")[0]] += len(recording.samples)
    assert sizes == {run["model"]: run["samples"] for run in TRACES[MANY_MODELS]["runs"]}
    assert (len(sizes), sizes.total()) == (76, 38087)


def test_the_search_log_is_refused() -> None:
    with pytest.raises(UsageError, match="is a search log"):
        list(read_recordings(str(SHARED / "traces" / f"{SEARCH_LOG}.jsonl.zst")))


PROBLEMS = {
    "aime24": ("auto", 30, "aime24-60", "204"),
    "amc23": ("auto", 40, "amc23-0", "27"),
    "asdiv": ("asdiv", 2305, "nluds-0001", "9"),
    "game24": ("auto", 1362, "game24-0", "24"),
    "gsm8k_test": ("gsm8k", 1319, "gsm8k-test-0", "18"),
    "humaneval": ("auto", 164, "HumanEval/0", None),
    "math500": ("math", 500, "test/precalculus/807.json", r"\left( 3, \frac{\pi}{2} \right)"),
    "mbpp_sanitized": ("auto", 427, "MbppEval/2", None),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_set_loads(name: str) -> None:
    form, count, first_id, first_gold = PROBLEMS[name]
    problems = problem_set(str(SHARED / "problems" / f"{name}.jsonl"), format=form)
    read = list(problems)
    assert len(read) == count
    assert (read[0].id, read[0].gold) == (first_id, first_gold)
    assert [problem.gold for problem in read] == [
        p.gold for p in problem_set(str(SHARED / "problems" / f"{name}.jsonl"))
    ]
