"""Whether an answer in code passes its problem's tests: `run_tests`, and what a program does on public examples.

What is expected never enters the process of the program.
"""

import ast
import json
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from dynasor.answers.code import called_names, extract_input, whole_program
from dynasor.answers.literals import expression
from dynasor.datasets.code_tests import Assertions, Case, Cases, CodeTests, Inputs, Values
from dynasor.engines.sandbox.sandbox import MEMORY, TIME, Given, Sandbox
from dynasor.engines.sandbox.values import decoded

_USED = "string re datetime collections heapq bisect copy math random statistics itertools functools operator io json"
_PREAMBLE = (
    "".join(f"from {name} import *\nimport {name}\n" for name in _USED.split())
    + "from builtins import *\nfrom typing import *\nimport sys\nsys.setrecursionlimit(50000)\n"
)
"""What programs of contests count on: LiveCodeBench runs them under such imports."""

_PLAIN = (
    ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Load, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop,
    ast.keyword, ast.Starred,
)  # fmt: skip
_MAKERS = frozenset({"set", "frozenset", "dict", "list", "tuple", "float", "bytes", "bytearray", "range", "str", "int"})
_EXAMPLES = 10


class Kind(StrEnum):
    """How tests ended."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    TIME = "time limit"
    MEMORY = "memory limit"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What tests came to.

    Attributes:
        test: the number of the test that did not pass, from 1; None where that is not one of them.
        message: the fault of an error, for people.
    """

    kind: Kind
    test: int | None = None
    message: str = ""

    @property
    def passed(self) -> bool:
        """Whether all tests passed."""
        return self.kind is Kind.PASSED


def run_tests(answer: str, tests: CodeTests, sandbox: Sandbox) -> Verdict:
    """Run an answer against its tests, up to the first that does not pass; in the sandbox, but for literals.

    Raises:
        ValueError: if sealed tests cannot be read.
    """
    match tests:
        case Values():
            return Verdict(Kind.PASSED) if tests.passed_by(answer) else Verdict(Kind.FAILED, 1)
        case Inputs():
            return _input_verdict(answer, tests, sandbox)
        case Assertions():
            program = whole_program(answer, tests.prompt, tests.entry_point)
            prompt = f"import math\n{tests.prompt}"  # some published tests count on it
            checked = sandbox.check(program, called_functions(tests), tests.source, prompt)
            return Verdict(Kind.PASSED) if checked.passed else _failed(checked.fault, checked.test, checked.message)
        case Cases():
            return _cases_verdict(answer, tests, sandbox)


def behaviour_of(answer: str, tests: CodeTests, sandbox: Sandbox) -> Hashable | None:
    """What an answer does on the examples that its problem shows: the outputs or faults, in order.

    None where the problem shows none, or the answer's value says all of it.
    """
    match tests:
        case Values():
            return None
        case Inputs():
            call = _call(answer, tests.entry_point)
            return None if call is None else _outcomes(sandbox.evaluate(tests.program, [call]))
        case Assertions() if tests.examples:
            program = whole_program(answer, tests.prompt, tests.entry_point)
            calls = [[ast.literal_eval(argument) for argument in _arguments(call)] for call in tests.examples]
            return _outcomes(sandbox.call(program, tests.entry_point, calls[:_EXAMPLES]))
        case Cases() if tests.public:
            return _outcomes(_runs(answer, tests, tests.public[:_EXAMPLES], sandbox))
        case _:
            return None


def called_functions(tests: Assertions) -> tuple[str, ...]:
    """The functions of the program that assertions call: the entry point first."""
    others = called_names(tests.source, tests.prompt) - {tests.entry_point}
    return (tests.entry_point, *sorted(others))


def _outcomes(given: Iterator[Given]) -> Hashable:
    return tuple(one.fault or json.dumps(one.value, sort_keys=True) for one in given)


def _input_verdict(answer: str, tests: Inputs, sandbox: Sandbox) -> Verdict:
    call = _call(answer, tests.entry_point)
    if call is None:
        return Verdict(Kind.ERROR, 1, f"not a call of {tests.entry_point} with plain values")
    given = next(sandbox.evaluate(tests.program, [call]))
    if given.fault is not None:
        return _failed(given.fault, 1)
    expected = expression(tests.expected)
    right = expected is not None and _value(given) == ast.literal_eval(expected)
    return Verdict(Kind.PASSED) if right else Verdict(Kind.FAILED, 1)


def _call(answer: str, entry_point: str) -> str | None:
    """The call that an answer is, or the arguments of which it consists; None where it holds more than plain values."""
    text = extract_input(answer) or ""
    tree = expression(text)
    if not (isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == entry_point):
        text = f"{entry_point}({text})"
        tree = expression(text)
    if not isinstance(tree, ast.Call):
        return None
    inner = [node for part in (*tree.args, *tree.keywords) for node in ast.walk(part)]
    return text if all(map(_is_plain, inner)) else None


def _is_plain(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _MAKERS
    return isinstance(node, _PLAIN) or (isinstance(node, ast.Name) and node.id in _MAKERS)


def _arguments(call: str) -> list[ast.expr]:
    tree = expression(call)
    return tree.args if isinstance(tree, ast.Call) else []


def _cases_verdict(answer: str, tests: Cases, sandbox: Sandbox) -> Verdict:
    right = _same_text if tests.entry_point is None else _same_value
    cases = tests.all
    for number, (given, case) in enumerate(zip(_runs(answer, tests, cases, sandbox), cases, strict=False), 1):
        if given.fault is not None:
            return _failed(given.fault, number)
        if not right(given, case.expected):
            return Verdict(Kind.FAILED, number)
    return Verdict(Kind.PASSED)


def _runs(answer: str, tests: Cases, cases: Sequence[Case], sandbox: Sandbox) -> Iterator[Given]:
    """Each case, as far as it is asked: in one process where it is a function, else in one for each."""
    program = _PREAMBLE + answer
    if tests.entry_point is None:
        return (sandbox.stream(program, case.given) for case in cases)
    calls = [[json.loads(line) for line in case.given.split("\n") if line.strip()] for case in cases]
    return sandbox.call(program, tests.entry_point, calls)


def _failed(fault: str, test: int | None, message: str = "") -> Verdict:
    kinds = {"": Kind.FAILED, TIME: Kind.TIME, MEMORY: Kind.MEMORY}
    told = "" if fault in kinds else ": ".join(filter(None, (fault, message)))
    return Verdict(kinds.get(fault, Kind.ERROR), test, told)


def _value(given: Given) -> Any:
    try:
        return decoded(given.value)
    except (ValueError, TypeError, RecursionError, AttributeError):
        return object()


def _same_value(given: Given, expected: str) -> bool:
    value = _value(given)
    return bool((list(value) if isinstance(value, tuple) else value) == json.loads(expected))


def _same_text(given: Given, expected: str) -> bool:
    """Line by line without blanks around, numbers by value: `1.0 2` is `1 2`."""
    ours, theirs = (text.strip().split("\n") for text in (str(given.value), expected))
    return len(ours) == len(theirs) and all(map(_same_line, ours, theirs))


def _same_line(ours: str, theirs: str) -> bool:
    if ours.strip() == theirs.strip():
        return True
    try:
        return [Decimal(word) for word in ours.split()] == [Decimal(word) for word in theirs.split()]
    except InvalidOperation:
        return False
