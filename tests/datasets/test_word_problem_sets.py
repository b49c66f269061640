"""The shipped word problems: two named sets of a thousand, with nothing in common."""

import gzip

import msgspec
import pytest

from dynasor.datasets.problem_sets import BUILT_IN, problem_set
from dynasor.datasets.recordings import read_recordings
from dynasor.errors import UsageError

NAMES = ("words", "words:calibration")


@pytest.mark.parametrize("name", NAMES)
def test_a_named_set_has_a_thousand_problems_with_answers(name: str) -> None:
    problems = list(problem_set(name))
    assert len({problem.id for problem in problems}) == len({problem.question for problem in problems}) == 1000
    assert all(problem.gold and problem.gold.isdigit() for problem in problems)


def test_the_sets_have_no_problem_in_common() -> None:
    tested, calibrated = ({problem.question for problem in problem_set(name)} for name in NAMES)
    assert not tested & calibrated


@pytest.mark.parametrize("name", NAMES)
def test_a_row_tells_the_steps_and_the_tier(name: str) -> None:
    packed = BUILT_IN[name].read_bytes()
    assert packed[3:8] == bytes(5), "neither a file name nor a time in the header"
    rows = [msgspec.json.decode(line, type=dict[str, object]) for line in gzip.decompress(packed).splitlines()]
    assert {tuple(row) for row in rows} == {("id", "question", "answer", "step_count", "tier")}
    assert {row["tier"] for row in rows} <= {0, 1, 2}


def test_they_are_known_by_their_names_in_a_run_and_tell_where_they_come_from() -> None:
    assert [problem_set(name).name for name in NAMES] == ["words", "words-calibration"]
    note = BUILT_IN["words"].with_name("PROVENANCE").read_text()
    assert "python -m training.word_problems --count 1000" in note


def test_a_name_like_theirs_is_told_the_built_in_ones() -> None:
    with pytest.raises(UsageError, match=r"^no such file: word \(built in: svamp, words, words:calibration\)$"):
        problem_set("word")


def test_they_are_no_recordings() -> None:
    with pytest.raises(UsageError, match=r"^no such file: words \(built in: svamp\)$"):
        read_recordings("words")
