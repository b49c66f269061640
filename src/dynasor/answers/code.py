"""Python code in a completion's text: found, completed from its prompt, and brought into one spelling. Runs nothing.

It knows how models mark code; it knows no problem and no test.
"""

import ast
import builtins
import re
from collections.abc import Iterator
from textwrap import dedent, indent

from dynasor.answers.literals import asserted

MAX_CODE_LENGTH = 64 * 1024
"""The most characters of a program."""

LANGUAGES = frozenset({"python", "py", "python3", "py3"})
"""What a fence may say of code in Python."""

_FENCE = re.compile(r"^[ \t]*(?P<fence>`{3,}|~{3,})[ \t]*(?P<word>[\w+#.-]*)[^`\n]*$", re.MULTILINE)
_MARKED = re.compile(r"\[(?P<mark>PYTHON|ANSWER|BEGIN)\](?P<body>.*?)(?:\[/(?P=mark)\]|\[DONE\]|\Z)", re.DOTALL)
_BLANK_LINES = re.compile(r"\A(?:[ \t]*\n)+")
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def extract_python(text: str) -> str | None:
    """Take the last fenced block that is in Python; else the last that names no language; else what stands in marks.

    A block that the end of the text cuts short counts where no other does. A text without any is the program itself
    where it can be read as Python, as the continuation of a prompt is. The first line keeps its indentation. None where
    there is none, or it is longer than `MAX_CODE_LENGTH`.
    """
    text = text.replace("\r\n", "\n")
    blocks = [(word, body) for word, body in _blocks(text) if body.strip()]
    in_python = [body for word, body in blocks if word.lower() in LANGUAGES]
    unnamed = [body for word, body in blocks if not word]
    marked = [match["body"] for match in _MARKED.finditer(text) if match["body"].strip()]
    found = (in_python or unnamed or marked)[-1:]
    if not found and not blocks and _tree(text) is not None:
        found = [text]
    code = _BLANK_LINES.sub("", found[0]).rstrip() if found else ""
    return code if code and len(code) <= MAX_CODE_LENGTH else None


def extract_output(text: str) -> str | None:
    """Take the value out of `[ANSWER] assert f(1) == 2 [/ANSWER]`, or of its last line."""
    statement = _statement(text)
    sides = asserted(statement)
    return (sides[1] if sides else statement) or None


def extract_input(text: str) -> str | None:
    """Take the call out of `[ANSWER] assert f(1) == 2 [/ANSWER]`, or of its last line."""
    statement = _statement(text)
    sides = asserted(statement)
    return (sides[0] if sides else statement) or None


def normal_code(code: str) -> str:
    """Give the one spelling of a program: without comments, docstrings, blank lines and choices of layout.

    Names and the order of statements stay. The body of a function, as the continuation of a prompt is, will do. What is
    no Python stays as it is, but for blanks at line ends.
    """
    tree = _tree(code)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, _DEFINITIONS) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        elif isinstance(node, ast.Module) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or node.body  # a text alone is no docstring but an answer
    try:
        return ast.unparse(tree) if tree else _trimmed(code)
    except RecursionError:  # a sum of thousands of terms
        return _trimmed(code)


def whole_program(answer: str, prompt: str, entry_point: str) -> str:
    """The program that an answer to `prompt` stands for: one that defines the entry point, or goes on from the prompt.

    A program of its own gets the prompt before it: what that imports and defines may be used.
    """
    tree = _tree(answer)
    names = {node.name for node in tree.body if isinstance(node, _DEFINITIONS)} if tree else set()
    if entry_point in names:
        return f"{prompt.rstrip()}\n\n\n{answer}\n" if _tree(prompt) else f"{answer}\n"
    return f"{prompt.rstrip()}\n{_as_body(answer)}\n"


def example_calls(prompt: str, entry_point: str) -> tuple[str, ...]:
    """The calls of the entry point that a prompt shows in its docstrings, in order, each once: `f([1, 2], 3)`.

    Only calls whose arguments are literals, so that they can be made anywhere.
    """
    calls: dict[str, None] = {}
    for match in re.finditer(rf"(?<![\w.]){re.escape(entry_point)}\(", prompt):
        call = _literal_call(prompt[match.start() : match.start() + MAX_CODE_LENGTH])
        if call is not None:
            calls[call] = None
    return tuple(calls)


def called_names(source: str, *known: str) -> frozenset[str]:
    """The functions that a program calls by name and that neither it, nor another known one, nor Python defines."""
    trees = [tree for tree in map(_tree, (source, *known)) if tree is not None]
    bound = set(dir(builtins)) | {name for tree in trees for node in ast.walk(tree) for name in _bound_by(node)}
    calls = (node.func for node in ast.walk(trees[0]) if isinstance(node, ast.Call)) if trees else ()
    return frozenset(func.id for func in calls if isinstance(func, ast.Name)) - bound


def _bound_by(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
            yield name
        case ast.Name(id=name, ctx=ast.Store()):
            yield name
        case ast.alias(name=name, asname=other):
            yield (other or name).partition(".")[0]


def _trimmed(code: str) -> str:
    return "\n".join(line.rstrip() for line in code.strip("\n").rstrip().split("\n"))


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """Give (language, body) of every fenced block; one that is not closed comes last, and only if it is the only."""
    opened: re.Match[str] | None = None
    count = 0
    for mark in _FENCE.finditer(text):
        if opened is None:
            opened = mark
        elif mark["fence"].startswith(opened["fence"]) and not mark["word"]:
            yield opened["word"], text[opened.end() + 1 : mark.start()]
            opened, count = None, count + 1
    if opened is not None and not count:
        yield opened["word"], text[opened.end() + 1 :]


def _statement(text: str) -> str:
    marked = [match["body"].strip() for match in _MARKED.finditer(text) if match["mark"] == "ANSWER"]
    return marked[-1] if marked else text.rstrip().rpartition("\n")[2].strip()


def _tree(code: str) -> ast.Module | None:
    """The syntax tree of a program, or of the body of a function."""
    if len(code) > MAX_CODE_LENGTH:
        return None
    for source in (code, dedent(code), f"def _():\n{code}"):
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            continue
    return None


def _as_body(code: str) -> str:
    """The code indented by four blanks, as the body of a function, and what follows the body as it stands.

    Code that is no body, or that mixes indentations so that it cannot be told, stays as it is.
    """
    for source in (f"def _():\n{code}", "def _():\n" + indent(dedent(code), "    ")):
        try:
            function, *rest = ast.parse(source).body
            body = indent("\n".join(map(ast.unparse, getattr(function, "body", []))), "    ")
            return "\n".join([body, *map(ast.unparse, rest)])
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            continue
    return code


def _literal_call(text: str) -> str | None:
    """The call that a text begins with, where its arguments are literals."""
    for close in re.finditer(r"\)", text[:4096]):
        try:
            tree = ast.parse(text[: close.end()], mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            continue
        if not isinstance(tree, ast.Call) or tree.keywords:
            return None
        try:
            values = [ast.literal_eval(argument) for argument in tree.args]
        except (ValueError, TypeError, MemoryError, RecursionError):
            return None
        return f"{ast.unparse(tree.func)}({', '.join(map(repr, values))})"
    return None
