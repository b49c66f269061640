import ast

import pytest

from dynasor.answers.code import (
    MAX_CODE_LENGTH,
    called_names,
    example_calls,
    extract_input,
    extract_output,
    extract_python,
    normal_code,
    whole_program,
)

PROMPT = 'import math\n\ndef f(x):\n    """Doubles.\n    >>> f(1)\n    2\n    """\n'


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("So:\n```python\nx = 1\n```\nDone.", "x = 1"),
        ("```python\nx = 1\n```\nor\n```py\nx = 2\n```", "x = 2"),
        ("```python\nx = 1\n```\nprints\n```\n1\n```", "x = 1"),
        ("```python\nx = 1\n```\n```bash\nls\n```", "x = 1"),
        ("```\nx = 1\n```", "x = 1"),
        ("```bash\nls\n```", None),
        ("~~~ Python3 title\n\n    x = 1\n~~~", "    x = 1"),
        ("````python\n```\nx\n```\n````", "```\nx\n```"),
        ("```python\r\nx = 1\r\n```", "x = 1"),
        ("Here it is:\n```python\nx = 1\ny = ", "x = 1\ny ="),
        ("```python\nx = 1\n```\n```python\ny = ", "x = 1"),
        ("[PYTHON]\nx = 1\n[/PYTHON]", "x = 1"),
        ("[BEGIN]\nx = 1\n[DONE]\nmore", "x = 1"),
        ("    return x\n", "    return x"),
        ("def f(x):\n    return x", "def f(x):\n    return x"),
        ("I do not know.", None),
        ("```python\n\n```", None),
        ("", None),
        (f"```python\n{'x' * (MAX_CODE_LENGTH + 1)}\n```", None),
        ("x" * (MAX_CODE_LENGTH + 1), None),
    ],
)
def test_code_is_found(text: str, code: str | None) -> None:
    assert extract_python(text) == code


@pytest.mark.parametrize(
    ("text", "output", "given"),
    [
        ("[THOUGHT]\n...\n[ANSWER]\nassert f(17) == 18\n[/ANSWER]", "18", "f(17)"),
        ("[ANSWER] 1 [/ANSWER]\n[ANSWER]f(1)==[ 2]", "[ 2]", "f(1)"),
        ("So it is\n'a'\n", "'a'", "'a'"),
        ("", None, None),
    ],
)
def test_the_sides_of_a_stated_assertion(text: str, output: str | None, given: str | None) -> None:
    assert extract_output(text) == output
    assert extract_input(text) == given


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x=1", "x  =  1 # one\n\n"),
        ("def f(a):\n  return (a)", 'def f(a):\n    """Says."""\n    return a\n'),
        ("    return 1\n", "  return 1"),
        ("    x = 1\n    return x\ndef g(): pass", "  x = 1\n  return x\n\ndef g():\n    pass"),
        ("x = 'a'", 'x = "a"'),
        ("not Python at all \n", "\nnot Python at all"),
    ],
)
def test_one_spelling_for_one_program(one: str, other: str) -> None:
    assert normal_code(one) == normal_code(other)
    assert normal_code(normal_code(one)) == normal_code(one)


@pytest.mark.parametrize(("one", "other"), [("x = 1", "x = 2"), ("a = 1", "b = 1"), ("    return 1", "    return 2")])
def test_other_programs_have_another(one: str, other: str) -> None:
    assert normal_code(one) != normal_code(other)


def test_a_function_of_a_docstring_alone_is_kept() -> None:
    assert normal_code('def f():\n    """Nothing."""') == "def f():\n    pass"


@pytest.mark.parametrize(
    "answer",
    [
        "    return 2 * x",
        "  y = 2\n  return y * x",
        "\treturn 2 * x",
        "return 2 * x",
        "    return g(x)\n\ndef g(x):\n    return 2 * x",
        "def f(x):\n    return 2 * x",
        "def f(x):\n    return math.floor(2 * x)",
    ],
)
def test_an_answer_becomes_a_whole_program(answer: str) -> None:
    program = whole_program(answer, PROMPT, "f")
    names = [node.name for node in ast.parse(program).body if isinstance(node, ast.FunctionDef)]
    assert "f" in names
    namespace: dict[str, object] = {}
    exec(program, namespace)  # our own text
    function = namespace["f"]
    assert callable(function)
    assert function(3) == 6


def test_an_answer_of_nothing_but_a_comment_stays_a_comment() -> None:
    assert whole_program("    #####", PROMPT, "f") == f"{PROMPT.rstrip()}\n    #####\n"
    assert normal_code("    #####") == ""


@pytest.mark.parametrize("terms", [800, 3000])
def test_a_formula_too_deep_to_be_written_again(terms: int) -> None:
    code = "x = " + "+".join(["1"] * terms)
    assert normal_code(f"{code}\n") == code
    assert whole_program(code, "def f():", "f") == f"def f():\n{code}\n"


def test_a_prompt_that_is_no_program_by_itself() -> None:
    assert whole_program("def f(): pass", "Write f.", "f") == "def f(): pass\n"
    assert whole_program("    return 1", "def f():", "f") == "def f():\n    return 1\n"
    assert whole_program("  return ]", "def f():", "f") == "def f():\n  return ]\n"


@pytest.mark.parametrize(
    ("prompt", "calls"),
    [
        (PROMPT, ("f(1)",)),
        ("f([1, 2], 'a)') ➞ 3; f([1,2], 'a)')", ("f([1, 2], 'a)')",)),
        ("def f(x, y): f(x) f(1, k=2) g.f(1) of(1) f(1", ()),
        ("f()", ("f()",)),
        ("f({[]: 1}) f(-1)", ("f(-1)",)),
        ("f(1)(2)", ("f(1)",)),
    ],
)
def test_the_calls_that_a_prompt_shows(prompt: str, calls: tuple[str, ...]) -> None:
    assert example_calls(prompt, "f") == calls


def test_the_functions_that_tests_call() -> None:
    source = "import math as m, os.path\nfor i in range(2):\n    assert f(i) == m.floor(g(i)) == h(i) + os.sep()\n"
    source += "def check(candidate):\n    class Local: pass\n    assert candidate(Local()) and k(1)"
    assert called_names(source, "def h(x): pass") == {"f", "g", "k"}
    assert called_names("assert ]") == frozenset()


def test_a_text_alone_is_an_answer_and_no_docstring() -> None:
    assert normal_code("'abc'") == normal_code('"abc"')
    assert normal_code('"abc"') != normal_code('"xyz"')
    assert normal_code('"""What it does."""\nx = 1') == "x = 1"
    assert normal_code('def f():\n    """Nothing."""') == "def f():\n    pass"
