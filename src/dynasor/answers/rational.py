"""Numbers as people and models write them, as exact fractions. It reads what `latex.tidy` wrote, and knows no units."""

import re
from fractions import Fraction

MAX_EXPONENT = 400
"""A number beyond ten to this power stays text: writing it out would take memory that an answer does not earn."""

_DECIMAL = r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_QUOTIENT = re.compile(rf"({_DECIMAL})(?:/([+-]?{_DECIMAL}))?")
_FRACTION = re.compile(rf"\\frac\{{([+-]?{_DECIMAL})\}}\{{([+-]?{_DECIMAL})\}}")
_MIXED = re.compile(r"([0-9]+)(?:\\frac\{([0-9]+)\}\{([0-9]+)\}| ([0-9]+)/([0-9]+))")
_SCIENTIFIC = re.compile(r"(?:([0-9]+(?:\.[0-9]+)?)\*)?10\^(?:([0-9])|\{([+-]?[0-9]+)\})")


def rational(formula: str) -> Fraction | None:
    r"""Read an integer, decimal, quotient, `\frac`, mixed number or `a*10^b`, signed; None for anything else."""
    value = _magnitude(formula[1:] if formula[:1] in ("+", "-") else formula)
    return -value if value is not None and formula.startswith("-") else value


def _magnitude(formula: str) -> Fraction | None:
    if match := _QUOTIENT.fullmatch(formula) or _FRACTION.fullmatch(formula):
        over, under = _decimal(match[1]), _decimal(match[2] or "1")
        return over / under if over is not None and under else None
    if match := _MIXED.fullmatch(formula):
        over, under = Fraction(match[2] or match[4]), Fraction(match[3] or match[5])
        return Fraction(match[1]) + over / under if 0 < over < under else None  # 1\frac{5}{4} may be a product
    if match := _SCIENTIFIC.fullmatch(formula):
        return _decimal(f"{match[1] or '1'}e{match[2] or match[3]}")
    return None


def _decimal(digits: str) -> Fraction | None:
    exponent = re.search(r"(?<=[eE])[+-]?[0-9]+", digits)
    return Fraction(digits) if exponent is None or abs(int(exponent[0])) <= MAX_EXPONENT else None
