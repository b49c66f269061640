r"""When two answers are the same answer: when their normal forms are equal. So it is an equivalence by construction.

The form knows spellings (LaTeX, number formats, units, case) and no mathematics: `\frac{1}{\sqrt{3}}` and
`\frac{\sqrt{3}}{3}` differ here; they may be equal to `symbolic`. A percent sign is a unit, as it is to the graders of
MATH (`50\%` is `50`), and never a factor of a hundred (`50\%` is not `0.5`). A bare list is a set of solutions, in any
order; tuples and intervals keep theirs.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from dynasor.answers.latex import MAX_DEPTH, TooDeep, tidy
from dynasor.answers.rational import rational
from dynasor.answers.units import is_quantity, without_unit

MAX_LENGTH = 512
"""Longer texts are no mathematics; they are compared as they are, but for blanks around them."""

_MAX_PASSES = 8
_CACHED_FORMS = 1 << 14

_QUOTED = re.compile(r"""['"]|.*(?:"|(?<![\w)}])')""", re.DOTALL)
_WRAPPED = re.compile(r"(\*\*|`)(.+)\1", re.DOTALL)
_TRAILING_STOP = re.compile(r"[,;]+$|(?<!\.)\.$")
_CONJUNCTION = re.compile(r"\\text\{(?:and|or)\}|(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])")
_NAME = r"(?:[A-Za-z]+|\\[a-z]+|\\text\{[A-Za-z ]+\}|\([a-z](?:, ?[a-z])*\))(?:_(?:\w|\{[^{}]*\}))?(?:\([a-z]\))?"
_ASSIGNMENT = re.compile(rf"(?P<name>{_NAME}(?:=|\\in(?![a-z])))(?P<value>[^=]+)")
_VARIABLE = re.compile(r"(?<![\\A-Za-z])[^\W\d_]|\\(?:begin|in|le|ge|ne)\b|[<>]")
_MARK = re.compile(r"\\(?:begin|end|cup)(?![A-Za-z])|\\.|[][(){},&]", re.DOTALL)
_OPENING = frozenset({"(", "[", "{", r"\{", r"\begin"})
_CLOSING = frozenset({")", "]", "}", r"\}", r"\end"})
_MATRIX = re.compile(r"\\begin\{(\w*matrix)\}(.*)\\end\{\1\}")
_CHOICE = re.compile(r"([A-J])\)")
_WORDS = re.compile(r"[^\W\d_]+(?:[ '’.-][^\W\d_]+)*")
_WORD = re.compile(r"[^\W\d_]{2}")
_TEXT = re.compile(r"\\text\{([^{}]*)\}")


def normal_form(answer: str) -> str:
    """Give the one spelling of an answer; it is its own normal form. Never raises."""
    answer = answer.strip()
    return answer if _is_literal(answer) else _settled(answer)


def _is_literal(text: str) -> bool:
    """Tell a program, a quoted string or a long text, of which every character counts."""
    lines = "\n" in text and r"\begin{" not in text
    return len(text) > MAX_LENGTH or lines or _QUOTED.match(text) is not None


@lru_cache(maxsize=_CACHED_FORMS)
def _settled(answer: str) -> str:
    """Rewrite until nothing changes. What changes for ever stays as it was: so the outcome settles at once again."""
    text = answer
    for _ in range(_MAX_PASSES):
        before, text = text, _rewritten(text)
        if text == before:
            return text
    return answer


def _rewritten(text: str) -> str:
    if _is_literal(text):
        return text
    if wrapped := _WRAPPED.fullmatch(text):
        return wrapped[2].strip() or text
    try:
        formula = _TRAILING_STOP.sub("", tidy(text)).strip()
    except TooDeep:
        return text
    if max((depth for _, depth in _marks(formula)), default=0) > MAX_DEPTH:
        return text
    return _form(_assigned_value(_computed(_listed(formula)))).strip() or text


def _marks(formula: str) -> Iterator[tuple[re.Match[str], int]]:
    """Give every bracket and separator, with the number of brackets it stands within."""
    depth = 0
    for mark in _MARK.finditer(formula):
        depth = max(0, depth - (mark[0] in _CLOSING))
        yield mark, depth
        depth += mark[0] in _OPENING


def _split(formula: str, separator: str) -> list[str]:
    parts, start = [], 0
    for mark, depth in _marks(formula):
        if mark[0] == separator and not depth:
            parts.append(formula[start : mark.start()].strip())
            start = mark.end()
    return [*parts, formula[start:].strip()]


def _listed(formula: str) -> str:
    """Give `1, 2` for `1 and 2` and `1, or 2`, where every part is a quantity."""
    parts = [part.strip(" ,") for part in _CONJUNCTION.split(formula)]
    return ", ".join(parts) if len(parts) > 1 and all(map(is_quantity, parts)) else formula


def _assigned_value(formula: str) -> str:
    """Give `5` for `x=5`, `1, 2` for `x=1,x=2` and `x=1,2`; but `x=1,y=2` says more than `1, 2`."""
    parts = _split(formula, ",")
    assignments = [_ASSIGNMENT.fullmatch(part) for part in parts]
    names = {match["name"] for match in assignments if match}
    equations = [part for part, match in zip(parts, assignments, strict=True) if match is None and "=" in part]
    if assignments[0] is None or len(names) > 1 or equations:
        return formula
    return ", ".join(match["value"] if match else part for part, match in zip(parts, assignments, strict=True))


def _computed(formula: str) -> str:
    """Give `10` for `8+2=10` and `x=8+2=10`: sums without variables are how the answer was found."""
    sides = formula.split("=")
    steps = sides[1:] if _ASSIGNMENT.fullmatch("=".join(sides[:2])) else sides
    found = len(sides) > 1 and all(steps) and not any(map(_VARIABLE.search, steps))
    return sides[-1] if found else formula


def _form(formula: str) -> str:
    parts = _split(formula, ",")
    if len(parts) > 1 and all(parts):  # a bare list is a set of solutions, in any order
        return ", ".join(sorted(map(_form, parts)))
    forms = (rule(formula) for rule in _RULES)
    return next((form for form in forms if form is not None), None) or _plain(formula)


def _number(formula: str) -> str | None:
    value = rational(formula)
    return None if value is None else str(value)


def _bracketed(formula: str) -> str | None:
    r"""Normalise `(a,b)`, `[a,b]`, `(a,b]` and `\{a,b\}` by element; `(a)` is `a`."""
    outer = [mark[0] for mark, depth in _marks(formula) if not depth and mark[0] in _OPENING | _CLOSING]
    if len(outer) != 2 or outer[0] not in ("(", "[", r"\{"):
        return None
    if not formula.startswith(outer[0]) or not formula.endswith(outer[1]):
        return None
    parts = _split(formula[len(outer[0]) : -len(outer[1])], ",")
    if not all(parts):
        return None
    forms = [_form(part) for part in parts]
    if outer == ["(", ")"] and len(forms) == 1:
        return forms[0]
    return outer[0] + ", ".join(sorted(set(forms)) if outer[0] == r"\{" else forms) + outer[1]


def _matrix(formula: str) -> str | None:
    match = _MATRIX.fullmatch(formula)
    if match is None:
        return None
    rows = [[_form(cell) for cell in _split(row, "&")] for row in _split(match[2], "\\\\")]
    cells = "\\\\".join("&".join(row) for row in rows)
    return rf"\begin{{{match[1]}}}{cells}\end{{{match[1]}}}"


def _union(formula: str) -> str | None:
    parts = _split(formula, r"\cup")
    return r"\cup".join(map(_form, parts)) if len(parts) > 1 and all(parts) else None


def _assignment(formula: str) -> str | None:
    match = _ASSIGNMENT.fullmatch(formula)
    return match["name"] + _form(match["value"]) if match else None


def _choice(formula: str) -> str | None:
    match = _CHOICE.fullmatch(formula)
    return match[1] if match else None


def _words(formula: str) -> str | None:
    """Fold the case of words; a single letter is a choice or a variable, and keeps its case."""
    return formula.casefold() if _WORDS.fullmatch(formula) and _WORD.search(formula) else None


def _plain(formula: str) -> str:
    return " ".join(_TEXT.sub(r" \1 ", formula).split()).removeprefix("+")


_RULES: tuple[Callable[[str], str | None], ...] = (
    _number, _bracketed, _matrix, _union, _assignment, without_unit, _choice, _words
)  # fmt: skip
