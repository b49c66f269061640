"""Answers that are Python literals, compared by value and never executed: `[1, 2]` and `[1,2]`, `'a'` and `"a"`.

It knows literals, and calls such as `f(1, 'a')` whose arguments are literals; it knows no program.
"""

import ast
from collections.abc import Hashable

from dynasor.answers.equivalence import normal_form
from dynasor.answers.grouping import Placement

MAX_LITERAL_LENGTH = 64 * 1024
"""Longer texts are no literals, and are compared as they are."""


class ByValue:
    """Answers are the same where their values are equal, as Python's `==` says; what is no literal goes by its form."""

    def place(self, answer: str) -> Placement:
        """The value, frozen, is the group."""
        value = literal_value(answer)
        return Placement(("form", normal_form(answer)) if value is None else ("value", value))


def literal_value(text: str) -> Hashable | None:
    """The value of a literal, or the arguments of a call with literals, in a form that can be hashed.

    Two such forms are equal where the values are: `{1, 2}` and `{2, 1}`, `1`, `1.0` and `True`. None where the text is
    neither.
    """
    tree = expression(text)
    try:
        if not isinstance(tree, ast.Call):
            return None if tree is None else _frozen(ast.literal_eval(tree))
        if not isinstance(tree.func, ast.Name) or any(keyword.arg is None for keyword in tree.keywords):
            return None
        named = {keyword.arg: _frozen(ast.literal_eval(keyword.value)) for keyword in tree.keywords}
        placed = tuple(_frozen(ast.literal_eval(argument)) for argument in tree.args)
        return ("call", tree.func.id, placed, frozenset(named.items()))
    except (ValueError, TypeError, MemoryError, RecursionError):  # not a literal; an unhashable key; too deep
        return None


def expression(text: str) -> ast.expr | None:
    """The syntax tree of one expression; None where the text is none."""
    if len(text) > MAX_LITERAL_LENGTH:
        return None
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # ValueError: null bytes
        return None


def asserted(text: str) -> tuple[str, str] | None:
    """Both sides of `assert f(1) == 2` or `f(1) == 2`; None where the text is no such comparison."""
    text = text.strip().removeprefix("assert ").strip()
    match expression(text):
        case ast.Compare(left=ast.Call() as call, ops=[ast.Eq()], comparators=[value]):
            return ast.get_source_segment(text, call) or "", ast.get_source_segment(text, value) or ""
        case _:
            return None


def _frozen(value: object) -> Hashable:
    match value:
        case list():
            return ("list", *map(_frozen, value))
        case tuple():
            return ("tuple", *map(_frozen, value))
        case set():
            return ("set", frozenset(value))
        case dict():
            return ("dict", frozenset((_frozen(key), _frozen(item)) for key, item in value.items()))
        case None:
            return ("none",)  # apart from "no value"
        case _:
            return value
