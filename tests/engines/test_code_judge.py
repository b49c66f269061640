import asyncio
import base64
import json
import pickle
import zlib
from collections.abc import Iterator

import pytest

from dynasor.answers.behaviour import ByBehaviour
from dynasor.datasets.code_tests import Assertions, Case, Cases, CodeTests, Inputs, Values
from dynasor.datasets.problem import Problem
from dynasor.engines.code_judge import CodeJudge
from dynasor.engines.sandbox.process import ProgramLimits
from dynasor.engines.sandbox.sandbox import Sandbox
from dynasor.engines.sandbox.verdicts import Kind, Verdict, run_tests
from dynasor.errors import UsageError

PROMPT = 'def f(x):\n    """Doubles.\n    >>> f(1)\n    2\n    """\n'
ASSERTIONS = Assertions("f", PROMPT, "def check(candidate):\n    assert candidate(2) == 4\n", ("f(1)", "f('a')"))
STREAMS = Cases(None, (Case("1 2\n", "3\n"),), json.dumps([{"input": "2 2", "output": "4.0"}]))
METHODS = Cases("add", (Case("1\n2", "3"), Case("[1]\n[2]", "[1, 2]")))
INPUTS = Inputs("def f(x):\n    return [x]", "f", "[1]")


@pytest.fixture(scope="module")
def judge() -> Iterator[CodeJudge]:
    with CodeJudge(workers=2) as judge:
        judge(Problem("warm", "?", tests=STREAMS), "")
        yield judge


def verdict(judge: CodeJudge, tests: CodeTests, answer: str) -> Verdict:
    return judge.verdict(Problem("p", "?", tests=tests), answer)


@pytest.mark.parametrize(
    ("tests", "answer", "found"),
    [
        (ASSERTIONS, "    return 2 * x", Verdict(Kind.PASSED)),
        (ASSERTIONS, "def f(x):\n    return x + x", Verdict(Kind.PASSED)),
        (ASSERTIONS, "    return x", Verdict(Kind.FAILED, 1)),
        (ASSERTIONS, "    return y", Verdict(Kind.ERROR, 1, "NameError: name 'y' is not defined")),
        (ASSERTIONS, "    import os\n    os._exit(0)", Verdict(Kind.ERROR, None, "ended early")),
        (ASSERTIONS, "    return bytes(1 << 40)", Verdict(Kind.MEMORY, 1)),
        (STREAMS, "a, b = map(int, input().split())\nprint(a + b)", Verdict(Kind.PASSED)),
        (STREAMS, "print(3)", Verdict(Kind.FAILED, 2)),
        (STREAMS, "print(3, 4)", Verdict(Kind.FAILED, 1)),
        (STREAMS, "print('three')", Verdict(Kind.FAILED, 1)),
        (STREAMS, "", Verdict(Kind.FAILED, 1)),
        (STREAMS, "input(", Verdict(Kind.ERROR, 1, "error")),
        (METHODS, "class Solution:\n    def add(self, a, b): return a + b", Verdict(Kind.PASSED)),
        (
            METHODS,
            "def add(a: List[int], b): return tuple(a) + tuple(b) if b != 2 else sum((a, b))",
            Verdict(Kind.PASSED),
        ),
        (METHODS, "def add(a, b): return 3", Verdict(Kind.FAILED, 2)),
        (METHODS, "def add(a): return 3", Verdict(Kind.ERROR, 1, "TypeError")),
        (INPUTS, "f(1)", Verdict(Kind.PASSED)),
        (INPUTS, "assert f(True) == [1]", Verdict(Kind.PASSED)),
        (INPUTS, "1", Verdict(Kind.PASSED)),
        (INPUTS, "f(int(1))", Verdict(Kind.PASSED)),
        (INPUTS, "f(2)", Verdict(Kind.FAILED, 1)),
        (INPUTS, "[1]", Verdict(Kind.FAILED, 1)),
        (INPUTS, "f(1, 2)", Verdict(Kind.ERROR, 1, "TypeError")),
        (INPUTS, "f(1) or [1]", Verdict(Kind.ERROR, 1, "not a call of f with plain values")),
        (INPUTS, "f(__import__('os'))", Verdict(Kind.ERROR, 1, "not a call of f with plain values")),
        (Values("[1]"), "[ 1 ]", Verdict(Kind.PASSED)),
        (Values("[1]"), "[2]", Verdict(Kind.FAILED, 1)),
    ],
)
def test_verdicts(tests: CodeTests, answer: str, found: Verdict, judge: CodeJudge) -> None:
    assert verdict(judge, tests, answer) == found
    assert judge(Problem("p", "?", tests=tests), answer) == float(found.passed)


@pytest.mark.slow
def test_a_time_limit() -> None:
    with Sandbox(ProgramLimits(wall_s=0.2)) as sandbox:
        assert run_tests("    while True: pass", ASSERTIONS, sandbox).kind is Kind.TIME
        assert run_tests("while True: pass", STREAMS, sandbox) == Verdict(Kind.TIME, 1)
        assert run_tests("def add(a, b):\n    while True: pass", METHODS, sandbox) == Verdict(Kind.TIME, 1)


def test_other_problems_are_judged_as_ever(judge: CodeJudge) -> None:
    assert judge(Problem("p", "?", "1/2"), "0.5") == 1.0
    assert judge(Problem("p", "?", verdicts={"a": 0.5}, tests=ASSERTIONS), "a") == 0.5
    assert judge(Problem("p", "?"), "a") is None
    assert judge(Problem("p", "?", tests=ASSERTIONS), None) == 0.0


def test_no_tests_at_all(judge: CodeJudge) -> None:
    with pytest.raises(UsageError, match=r"^problem 'p' has no tests; read it with the format of a set in code$"):
        judge.verdict(Problem("p", "?"), "x")


def test_sealed_tests_that_cannot_be_read(judge: CodeJudge) -> None:
    evil = base64.b64encode(zlib.compress(pickle.dumps(print))).decode()
    with pytest.raises(UsageError, match="problem 'p': the sealed test cases hold more than a text"):
        judge(Problem("p", "?", tests=Cases(None, (), evil)), "x")


async def test_the_event_loop_goes_on(judge: CodeJudge) -> None:
    problem = Problem("p", "?", tests=ASSERTIONS)
    answers = [f"    return {factor} * x" for factor in range(1, 5)]
    judge.ahead(problem, answers[0])
    judge.ahead(Problem("q", "?", "1"), "1")
    found = await asyncio.gather(*(judge.judged(problem, answer) for answer in [*answers, *answers, None]))
    assert found == [0.0, 1.0, 0.0, 0.0] * 2 + [0.0]


def test_an_answer_is_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def run(answer: str, tests: CodeTests, sandbox: Sandbox) -> Verdict:
        asked.append(answer)
        return Verdict(Kind.PASSED)

    monkeypatch.setattr("dynasor.engines.code_judge.run_tests", run)
    monkeypatch.setattr("dynasor.engines.code_judge.REMEMBERED", 2)
    with CodeJudge(workers=1) as judge:
        for answer in ("a", "b", "a", "c", "b", "a"):
            assert verdict(judge, STREAMS, answer).passed
    assert asked == ["a", "b", "c", "a"]


def test_behaviour_on_the_public_examples(judge: CodeJudge) -> None:
    grouping = ByBehaviour(judge.behaviour(Problem("p", "?", tests=ASSERTIONS)))
    double = grouping.place("    return 2 * x").group
    assert grouping.place("def f(y):\n    return y + y").group == double
    assert grouping.place("    return x").group != double
    assert grouping.place("    return x(1)").group == grouping.place("    return x(2)").group  # the same fault


@pytest.mark.parametrize(
    ("tests", "same", "other"),
    [
        (STREAMS, ("print(sum(map(int, input().split())))", "print(3)"), "print(4)"),
        (
            METHODS,
            ("def add(a, b): return a + b", "class Solution:\n    add = lambda self, a, b: a + b"),
            "def add(): 1",
        ),
        (INPUTS, ("f(1)", "f((1))"), "f(2)"),
    ],
)
def test_behaviour_of_other_kinds(tests: CodeTests, same: tuple[str, str], other: str, judge: CodeJudge) -> None:
    behaviour = judge.behaviour(Problem("p", "?", tests=tests))
    assert behaviour(same[0]) == behaviour(same[1]) != behaviour(other)


@pytest.mark.parametrize("tests", [None, Values("1"), Assertions("f", "", "x"), Cases(None, ())])
def test_no_behaviour_without_examples(tests: CodeTests | None, judge: CodeJudge) -> None:
    assert judge.behaviour(Problem("p", "?", tests=tests))("x = 1") is None
    assert judge.behaviour(Problem("p", "?", tests=INPUTS))("no call") is None
