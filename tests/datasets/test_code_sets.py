import base64
import builtins
import json
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from dynasor.datasets import sealed
from dynasor.datasets.code_tests import Assertions, Case, Cases, CodeTests, Inputs, Values, cases_of
from dynasor.datasets.columns import Columns
from dynasor.datasets.problem import Problem, judge
from dynasor.datasets.problem_sets import problem_set
from dynasor.datasets.sealed import unsealed
from dynasor.errors import BadRow

PROMPT = 'def f(x):\n    """Doubles.\n    >>> f(1)\n    2\n    """\n'
HUMANEVAL: dict[str, object] = {
    "task_id": "HumanEval/0", "prompt": PROMPT, "entry_point": "f", "canonical_solution": "    return 2 * x\n",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n",
}  # fmt: skip
MBPP: dict[str, object] = {
    "source_file": "x.ipynb", "task_id": 2, "prompt": "Write a function to double.", "code": "def f(x): return 2 * x",
    "test_imports": ["import math"], "test_list": ["assert f(2) == 4", "assert math.isclose(f(0.5), 1)"],
}  # fmt: skip
CRUXEVAL: dict[str, object] = {"id": "sample_0", "code": "def f(x):\n    return [x]", "input": "1", "output": "[1]"}
PUBLIC = [{"input": "1\n2", "output": "3", "testtype": "stdin"}]
PRIVATE = [{"input": "4\n5", "output": "9", "testtype": "stdin"}]


def packed(text: object, protocol: int = 4) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(text, protocol))).decode()


LIVECODEBENCH: dict[str, object] = {
    "question_title": "Sum", "question_content": "Add two numbers.", "platform": "atcoder", "question_id": "abc_a",
    "contest_id": "abc", "contest_date": "2024-01-01T00:00:00", "starter_code": "", "difficulty": "easy",
    "public_test_cases": json.dumps(PUBLIC), "private_test_cases": packed(json.dumps(PRIVATE)), "metadata": "{}",
}  # fmt: skip


def one(folder: Path, row: dict[str, object], form: str = "auto") -> Problem:
    path = folder / "set.jsonl"
    path.write_bytes(msgspec.json.encode(row))
    (problem,) = problem_set(str(path), format=form)
    return problem


@pytest.mark.parametrize("form", ["auto", "humaneval"])
def test_humaneval(form: str, tmp_path: Path) -> None:
    tests = Assertions("f", PROMPT, str(HUMANEVAL["test"]), ("f(1)",))
    assert one(tmp_path, HUMANEVAL, form) == Problem("HumanEval/0", PROMPT, None, tests=tests)


@pytest.mark.parametrize("form", ["auto", "mbpp"])
def test_mbpp(form: str, tmp_path: Path) -> None:
    problem = one(tmp_path, MBPP, form)
    assert problem.id == "2"
    assert "here is your task: Write a function to double. Your code should pass these tests:" in problem.question
    assert "assert f(2) == 4\nassert math.isclose(f(0.5), 1)" in problem.question
    source = "import math\nassert f(2) == 4\nassert math.isclose(f(0.5), 1)"
    assert problem.tests == Assertions("f", "", source, ("f(2)", "f(0.5)"))


def test_the_first_release_of_mbpp(tmp_path: Path) -> None:
    row = {
        "text": "Double.",
        "code": "def f(x): pass",
        "task_id": 1,
        "test_setup_code": "",
        "test_list": ["assert f(1)"],
    }
    problem = one(tmp_path, {**row, "challenge_test_list": []})
    assert "your task: Double." in problem.question
    assert problem.tests == Assertions("f", "", "assert f(1)", ("f(1)",))


@pytest.mark.parametrize("form", ["auto", "cruxeval"])
def test_outputs_of_cruxeval(form: str, tmp_path: Path) -> None:
    problem = one(tmp_path, CRUXEVAL, form)
    assert (problem.id, problem.gold, problem.tests) == ("sample_0", "[1]", Values("[1]"))
    assert problem.question.endswith("[PYTHON]\ndef f(x):\n    return [x]\nassert f(1) == ??\n[/PYTHON]")
    assert [judge(problem, answer) for answer in ("[ 1 ]", "[1.0]", "(1,)", "x", None)] == [1.0, 1.0, 0.0, 0.0, 0.0]


def test_inputs_of_cruxeval(tmp_path: Path) -> None:
    problem = one(tmp_path, CRUXEVAL, "cruxeval-input")
    assert (problem.gold, problem.tests) == (None, Inputs("def f(x):\n    return [x]", "f", "[1]"))
    assert problem.question.endswith("assert f(??) == [1]\n[/PYTHON]")


def test_an_input_may_be_empty(tmp_path: Path) -> None:
    assert "assert f() == ??" in one(tmp_path, CRUXEVAL | {"input": ""}).question


@pytest.mark.parametrize("form", ["auto", "livecodebench"])
def test_livecodebench_of_streams(form: str, tmp_path: Path) -> None:
    problem = one(tmp_path, LIVECODEBENCH, form)
    assert problem.id == "abc_a"
    assert problem.question.startswith("### Question:\nAdd two numbers.\n\n### Format: Read the inputs from stdin")
    assert isinstance(problem.tests, Cases)
    assert (problem.tests.entry_point, problem.tests.public) == (None, (Case("1\n2", "3"),))
    assert problem.tests.all == (Case("1\n2", "3"), Case("4\n5", "9"))


def test_livecodebench_of_functions(tmp_path: Path) -> None:
    starter = "class Solution:\n    def add(self, a: int, b: int) -> int:\n        "
    row = LIVECODEBENCH | {"starter_code": starter, "metadata": '{"func_name": "add"}'}
    problem = one(tmp_path, row)
    assert isinstance(problem.tests, Cases)
    assert problem.tests.entry_point == "add"
    assert "You will use the following starter code" in problem.question
    assert f"```python\n{starter}\n```" in problem.question


def test_private_cases_in_plain_json_and_none_at_all(tmp_path: Path) -> None:
    plain = one(tmp_path, LIVECODEBENCH | {"private_test_cases": json.dumps(PRIVATE)}).tests
    none = one(tmp_path, LIVECODEBENCH | {"private_test_cases": "", "metadata": None}).tests
    assert isinstance(plain, Cases)
    assert isinstance(none, Cases)
    assert (len(plain.all), len(none.all)) == (2, 1)


BAD: list[tuple[dict[str, object], str, str]] = [
    (HUMANEVAL | {"test": " "}, "humaneval", "column 'test' is missing, empty or not text"),
    (HUMANEVAL | {"prompt": 3}, "humaneval", "column 'prompt' is missing"),
    ({"prompt": "x"}, "humaneval", "no column 'entry_point', which the format has"),
    (MBPP | {"test_list": [1]}, "mbpp", "column 'test_list' is not a list of lines"),
    (MBPP | {"test_list": ["assert g(1)"]}, "mbpp", "no test calls a function of column 'code'"),
    (MBPP | {"code": "def"}, "mbpp", "column 'code' or 'test_list' is no Python"),
    (CRUXEVAL | {"input": 1}, "cruxeval", "column 'input' is not text"),
    (CRUXEVAL | {"output": ""}, "cruxeval-input", "column 'output' is missing"),
    (LIVECODEBENCH | {"public_test_cases": "[{}]"}, "auto", "column 'public_test_cases': the test cases are not"),
    (LIVECODEBENCH | {"public_test_cases": "["}, "auto", "column 'public_test_cases': "),
    (LIVECODEBENCH | {"metadata": "["}, "auto", "column 'metadata' is not a JSON object"),
    (LIVECODEBENCH | {"metadata": [1]}, "auto", "column 'metadata' is not a JSON object"),
    (LIVECODEBENCH | {"metadata": {"func_name": 1}}, "auto", "'func_name' is not text"),
]


@pytest.mark.parametrize(("row", "form", "fault"), BAD, ids=[fault for _, _, fault in BAD])
def test_a_malformed_row(row: dict[str, object], form: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(BadRow, match=r"line 1: ") as caught:
        one(tmp_path, row, form)
    assert fault in str(caught.value)


def test_a_column_of_the_user_is_no_set_in_code(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    path.write_bytes(msgspec.json.encode(HUMANEVAL))
    (problem,) = problem_set(str(path), columns=Columns(question="test"))
    assert problem.tests is None


@pytest.mark.parametrize("protocol", range(6))
def test_a_sealed_text_is_read(protocol: int) -> None:
    for text in ("[]", "ß" * 300, ""):
        assert unsealed(packed(text, protocol)) == text


class Evil:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return exec, ("import builtins; builtins.unpickled = True",)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("held", [Evil(), ["[]", Evil()], b"[]", ["[]"], 1, {"a": "b"}], ids=repr)
def test_a_pickle_of_anything_else_is_refused_unread(held: object, protocol: int) -> None:
    with pytest.raises(ValueError, match=r"hold more than a text|do not hold one text"):
        unsealed(packed(held, protocol))
    assert not hasattr(builtins, "unpickled")


@pytest.mark.parametrize(
    "text", ["!", "AAAA", base64.b64encode(zlib.compress(b"no pickle")).decode(), packed("x")[:-8]]
)
def test_a_damaged_seal(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        unsealed(text)


def test_a_seal_that_unpacks_to_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "MOST_BYTES", 100)
    with pytest.raises(ValueError, match="cut short, or too large"):
        unsealed(packed("x" * 10_000))


def test_cases_that_are_no_list() -> None:
    with pytest.raises(ValueError, match="the test cases are not a list"):
        cases_of('{"input": 1}')


@pytest.mark.parametrize("tests", [Assertions("f", "", "x"), Cases(None, ()), Inputs("", "f", "1")])
def test_nobody_can_tell_of_a_program_that_is_not_run(tests: CodeTests) -> None:
    assert judge(Problem("p", "?", tests=tests), "x = 1") is None
