r"""Units after a number: `5 cm`, `5\text{ cm}^2`, `90^\circ`, `50\%`, `12th grade`.

It strips what a grader strips and no more: `5 million`, `5 and a half` and `2 sin x` end in words that belong to the
number. It knows the spellings of `latex.tidy`.
"""

import re

from dynasor.answers.rational import rational

_ABBREVIATIONS = "mm cm dm km mg kg ml dl cl kl ft in yd mi oz lb hr ms kw kj hz sq cu st nd rd th of"
_LETTERS = "msghLlJNWVKCF"
_WORDS_OF_NUMBERS = """
    and or nor not but plus minus over to by than is are am pm bc ad mod base point remainder negative
    half halves third thirds quarter quarters fourth fourths fifth fifths sixth sixths seventh sevenths eighth eighths
    ninth ninths tenth tenths hundredth hundredths thousandth thousandths one two three four five six seven eight nine
    ten dozen dozens hundred hundreds thousand thousands million millions billion billions trillion trillions
    squared cubed factorial choose infinity sqrt log ln exp sin cos tan cot csc arcsin arccos arctan max gcd lcm lim
    alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi rho sigma tau phi chi psi omega
"""
_SHORT_UNITS = frozenset(_ABBREVIATIONS.split())  # after a bare number, two other letters are a product: `5 ab`
_NOT_UNITS = frozenset(_WORDS_OF_NUMBERS.split())

_SIGN = re.compile(r"(?P<head>.*[\w)}\]!])(?:(?P<percent>%)|\^\\circ(?: ?[CF]|\\text\{[CF]\})?)", re.DOTALL)
_TEXT = re.compile(r"(?P<head>.*[\w)}\]!])\\text\{(?P<unit>[A-Za-z][A-Za-z0-9 ./^-]*)\}(?:\^[23])?", re.DOTALL)
_WORDS = re.compile(r"(?<![A-Za-z\\])(?P<unit>[A-Za-z]+\.?(?:[ /]+[A-Za-z]+\.?){0,2})(?:\^[23])?$")
_ORDINAL = re.compile(r"(?P<head>[0-9]+)\^\{(?:\\text\{)?(?:st|nd|rd|th)\}?\}")
_QUANTITY = re.compile(r"[0-9]|\\pi")
_PROSE = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{3,}")


def without_unit(formula: str) -> str | None:
    """Give what stands before the last unit; None where there is no unit."""
    if match := _SIGN.fullmatch(formula):
        return match["head"] if not match["percent"] or rational(match["head"]) is not None else None
    if match := _ORDINAL.fullmatch(formula):
        return match["head"]
    if match := _TEXT.fullmatch(formula):
        return match["head"] if is_quantity(match["head"]) and _is_unit(match["unit"], typeset=True) else None
    return _without_words(formula)


def _without_words(formula: str) -> str | None:
    match = _WORDS.search(formula)
    if match is None or not _is_unit(match["unit"], typeset=False):
        return None
    head = formula[: match.start()].strip()
    return head if rational(head) is not None or _ORDINAL.fullmatch(head) else None


def is_quantity(head: str) -> bool:
    """Tell a number or a formula with numbers in it from prose."""
    return _QUANTITY.search(head) is not None and _PROSE.search(head) is None


def _is_unit(text: str, *, typeset: bool) -> bool:
    words = re.findall("/?[A-Za-z]+", text)
    return 1 <= len(words) <= 4 and all(_names_something(word, typeset=typeset) for word in words)


def _names_something(word: str, *, typeset: bool) -> bool:
    r"""Tell a counted thing from a part of the formula; within `\text{}` or after a slash, short words count too."""
    typeset, word = typeset or word.startswith("/"), word.lstrip("/")
    if word.lower() in _NOT_UNITS:
        return False
    if len(word) == 1:
        return typeset and word in _LETTERS
    return typeset or len(word) > 2 or word.lower() in _SHORT_UNITS
