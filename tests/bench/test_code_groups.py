from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from dynasor.answers.grouping import ByEquality
from dynasor.bench.code_groups import GroupRow, code_recordings, compare_groups, groupings
from dynasor.datasets.code_tests import Assertions, Inputs
from dynasor.datasets.problem import Problem, Recording
from dynasor.engines.code_judge import CodeJudge
from dynasor.errors import UsageError

PROMPT = 'def f(x):\n    """Doubles.\n    >>> f(1)\n    2\n    >>> f(2)\n    4\n    """\n'
DOUBLE = Problem("double", PROMPT, tests=Assertions("f", PROMPT, "assert f(3) == 6", ("f(1)", "f(2)")))
SAME = Problem("same", "?", tests=Assertions("f", "", "assert f(3) == 3"))  # it shows no example
INPUT = Problem("input", "?", tests=Inputs("def f(x): return x > 1", "f", "True"))

SAMPLES: dict[str, list[tuple[str, bool]]] = {
    "double": [("    return 2 * x", True), ("    return x+x", True), ("    return x + x  # twice", True),
               ("    return x", False), ("    return 2 + x", False), ("    return x << 1", True)],
    "same": [("def f(x): return x", True), ("def f(x):  return x", True), ("def f(y): return y", True),
             ("def f(x): return 0", False), ("def f(x): return 1", False), ("def f(x): return 2", False)],
    "input": [("f(2)", True), ("f(3)", True), ("f( 3 )", True), ("f(0)", False), ("f(0)", False), ("f(0)", False)],
}  # fmt: skip


@pytest.fixture(scope="module")
def judge() -> Iterator[CodeJudge]:
    with CodeJudge(workers=1) as judge:
        judge(DOUBLE, "    return x")
        yield judge


@pytest.fixture
def recordings(tmp_path: Path) -> list[Recording]:
    trace = tmp_path / "trace.jsonl"
    lines = []
    for id, samples in SAMPLES.items():
        key = "answer" if id == "input" else "text"
        rows = [{"answer": "cluster", "tokens": 10, "correct": right, key: answer} for answer, right in samples]
        lines.append(
            msgspec.json.encode({"id": id, "samples": [*rows, {"answer": None, "tokens": 1, "correct": False}]})
        )
    trace.write_bytes(b"\n".join(lines))
    return list(code_recordings(trace, {problem.id: problem for problem in (DOUBLE, SAME, INPUT)}, 6))


def test_a_recording_has_programs_for_answers_and_the_tests_of_its_problem(recordings: list[Recording]) -> None:
    assert [len(recording.samples) for recording in recordings] == [6, 6, 6]
    assert recordings[0].samples[1].answer == "    return x+x"
    assert recordings[2].samples[1].answer == "f(3)"
    assert recordings[0].problem.tests == DOUBLE.tests
    assert recordings[0].problem.verdicts == dict(SAMPLES["double"])


def test_a_trace_of_another_set(tmp_path: Path) -> None:
    (tmp_path / "trace.jsonl").write_text('{"id": "x", "samples": []}')
    with pytest.raises(UsageError, match="asks 'x', which is none of the problems"):
        list(code_recordings(tmp_path / "trace.jsonl", {}))


def rows(recordings: list[Recording], judge: CodeJudge | None, cap: int = 6) -> dict[str, GroupRow]:
    ways = groupings(judge, lambda: ByEquality(lambda a, b: True))
    return {row.name: row for row in compare_groups(recordings, ways, cap=cap, orders=5)}


@pytest.mark.slow
def test_ways_to_group_side_by_side(recordings: list[Recording], judge: CodeJudge) -> None:
    found = rows(recordings, judge)
    assert {name: row.groups * 3 for name, row in found.items()} == pytest.approx(
        {"text": 6 + 6 + 4, "normal form": 6 + 5 + 3, "code": 5 + 5 + 3, "value": 6 + 5 + 3, "behaviour": 3 + 5 + 2,
         "semantic": 3}
    )  # fmt: skip
    assert found["behaviour"].accuracy > found["text"].accuracy
    assert found["behaviour"].certaindex > found["code"].certaindex > found["text"].certaindex
    assert found["behaviour"].problems == 3


def test_the_policy_saves_what_it_stops(recordings: list[Recording]) -> None:
    found = rows(recordings, None)
    assert "behaviour" not in found
    assert (found["semantic"].stopped, found["semantic"].certaindex) == (1.0, 1.0)
    assert found["semantic"].saved == pytest.approx(1 / 6)
    assert found["text"].stopped < 0.5
    assert found["text"].saved == pytest.approx(found["text"].stopped / 6)
