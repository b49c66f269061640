"""Problems whose answers are code: HumanEval, MBPP and CRUXEval as they are published, row by row.

A format tells itself by its columns. The question is the published prompt. Nothing of a row is run.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dynasor.answers.code import example_calls
from dynasor.datasets.code_tests import Assertions, CodeTests, Inputs, Values
from dynasor.datasets.columns import ColumnNames, Columns
from dynasor.datasets.problem import Problem
from dynasor.datasets.rows import Row

_OUTPUT_PROMPT = (
    "You are given a Python function and an assertion about its value for an input. Complete the assertion with the"
    " literal that the function returns, without any expression or call in it. Execute the program step by step, then"
    " give the whole assertion between [ANSWER] and [/ANSWER].\n\n"
    "[PYTHON]\n{code}\nassert f({input}) == ??\n[/PYTHON]"
)
_INPUT_PROMPT = (
    "You are given a Python function and an assertion about its value. Find one input for which the assertion holds;"
    " there may be several. Think step by step, then give the whole assertion between [ANSWER] and [/ANSWER].\n\n"
    "[PYTHON]\n{code}\nassert f(??) == {output}\n[/PYTHON]"
)
_MBPP_PROMPT = (
    "You are an expert Python programmer, and here is your task: {task} Your code should pass these tests:\n\n{tests}\n"
)


@dataclass(frozen=True, slots=True)
class CodeFormat:
    """How a set of problems in code writes them.

    Attributes:
        marks: the columns that tell it.
        read: a row to the question and its tests; raises `BadRow`.
        names: the columns by which a set is settled.
        id: the column that holds the id where it has none of the usual names.
        kind: how the file is read; None: by its ending.
    """

    marks: tuple[str, ...]
    read: Callable[[Row], tuple[str, CodeTests]]
    names: ColumnNames
    id: str | None = None
    kind: str | None = None

    def tells(self, row: Row) -> bool:
        """Whether the row is of this format."""
        return all(name in row.values for name in self.marks)

    def problem(self, row: Row, columns: Columns, default_id: str) -> Problem:
        """Read one row; raises `BadRow`. The right answer is known where it is a literal."""
        for name in self.marks:
            if name not in row.values:
                raise row.bad(f"no column '{name}', which the format has")
        question, tests = self.read(row)
        gold = tests.expected if isinstance(tests, Values) else None
        named = columns.id or self.id
        return Problem((named and row.text(named)) or default_id, question, gold, tests=tests)


def text_in(row: Row, *names: str) -> str:
    """The text of the first of the columns that the row has; raises `BadRow` unless it holds one."""
    name = next((name for name in names if name in row.values), names[0])
    value = row.values.get(name)
    if not isinstance(value, str) or not value.strip():
        raise row.bad(f"column '{name}' is missing, empty or not text")
    return value


def _humaneval(row: Row) -> tuple[str, CodeTests]:
    prompt, entry_point = text_in(row, "prompt", "question"), text_in(row, "entry_point").strip()
    return prompt, Assertions(entry_point, prompt, text_in(row, "test"), example_calls(prompt, entry_point))


def _mbpp(row: Row) -> tuple[str, CodeTests]:
    """The sanitized set has `prompt` and `test_imports`, the first release `text` and `test_setup_code`."""
    tests, set_up = _lines(row, "test_list"), _lines(row, "test_imports") + _lines(row, "test_setup_code")
    entry_point = _called(row, text_in(row, "code"), tests)
    source = "\n".join([*set_up, *tests])
    question = _MBPP_PROMPT.format(task=text_in(row, "prompt", "text"), tests="\n".join(tests))
    return question, Assertions(entry_point, "", source, example_calls("\n".join(tests), entry_point))


def _lines(row: Row, column: str) -> list[str]:
    value = row.values.get(column)
    if value is None or isinstance(value, str):
        return [value] if value else []
    if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
        raise row.bad(f"column '{column}' is not a list of lines")
    return value


def _called(row: Row, code: str, tests: list[str]) -> str:
    """The function of the model solution that the tests call: the question names it only in its tests."""
    try:
        defined = {node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)}
        calls = [node.func for node in ast.walk(ast.parse("\n".join(tests))) if isinstance(node, ast.Call)]
    except (SyntaxError, ValueError) as fault:
        raise row.bad(f"column 'code' or 'test_list' is no Python: {fault}") from fault
    called = [func.id for func in calls if isinstance(func, ast.Name) and func.id in defined]
    if not called:
        raise row.bad("no test calls a function of column 'code'")
    return called[-1]


def _cruxeval_output(row: Row) -> tuple[str, CodeTests]:
    given = {name: text_in(row, name) for name in ("code", "output")} | {"input": _input(row)}
    return _OUTPUT_PROMPT.format(**given), Values(given["output"])


def _cruxeval_input(row: Row) -> tuple[str, CodeTests]:
    code, output = text_in(row, "code"), text_in(row, "output")
    return _INPUT_PROMPT.format(code=code, output=output), Inputs(code, "f", output)


def _input(row: Row) -> str:
    """The arguments: none at all is an input."""
    value = row.values["input"]
    if not isinstance(value, str):
        raise row.bad("column 'input' is not text")
    return value


_CRUXEVAL = ("code", "input", "output")

CODE_FORMATS: Mapping[str, CodeFormat] = {
    "humaneval": CodeFormat(("entry_point", "test"), _humaneval, ColumnNames(("prompt", "question"), ())),
    "mbpp": CodeFormat(("code", "test_list"), _mbpp, ColumnNames(("prompt", "text"), ())),
    "cruxeval": CodeFormat(_CRUXEVAL, _cruxeval_output, ColumnNames(("code",), ())),
    "cruxeval-input": CodeFormat(_CRUXEVAL, _cruxeval_input, ColumnNames(("code",), ())),
}
"""By name; a set that says no format is taken for the first that tells it: CRUXEval is then one of outputs."""
