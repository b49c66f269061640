"""Solutions with a slip in them, and what follows from it: exact labels without limit.

A slip is a wrong result of a right calculation; the lines after it go on with the wrong number, as a reasoner would who
has not noticed. It knows lines and numbers, not who reads them.
"""

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

_LINE = re.compile(r"(?P<before>.*) (?P<equation>[\d+*/-]+)=(?P<value>\d+) (?P<after>.*)")
_NUMBER = re.compile(r"\d+")
_LARGEST = 9_999


@dataclass(frozen=True, slots=True)
class Line:
    """One step of a solution: `before equation=value after`."""

    before: str
    equation: str
    value: int
    after: str

    @property
    def text(self) -> str:
        """The line as it is written."""
        return f"{self.before} {self.equation}={self.value} {self.after}"


def read(steps: Sequence[str]) -> list[Line]:
    """The steps in their parts.

    Raises:
        ValueError: for a step without a calculation.
    """
    lines: list[Line] = []
    for step in steps:
        found = _LINE.fullmatch(step)
        if found is None:
            raise ValueError(f"no calculation in {step!r}")
        lines.append(Line(found["before"], found["equation"], int(found["value"]), found["after"]))
    return lines


def result(equation: str) -> int | None:
    """The value of `a+b`, `a-b`, `a*b`, `a/b` or `a*b/c`; None unless it is a whole number from 1 to 9,999."""
    first, *rest = re.split(r"([+*/-])", equation)
    value = int(first)
    for sign, operand in zip(rest[::2], map(int, rest[1::2]), strict=True):
        if sign == "/":
            if operand == 0 or value % operand:
                return None
            value //= operand
        else:
            value = value + operand if sign == "+" else value - operand if sign == "-" else value * operand
    return value if 1 <= value <= _LARGEST else None


def slipped(rng: random.Random, line: Line) -> Line:
    """The line with a wrong result, as a reckoner may write it: a digit or a carry off, a neighbouring product."""
    right = line.value
    candidates = [right + 1, right - 1, right + 10, right - 10, right + rng.choice((2, -2, 9, -9, 20, -20, 100, -100))]
    digits = str(right)
    if len(digits) > 1:
        at = rng.randrange(len(digits) - 1)
        candidates.append(int(digits[:at] + digits[at + 1] + digits[at] + digits[at + 2 :]))
    factor = re.fullmatch(r"(\d+)\*(\d+)", line.equation)
    if factor:
        one, two = int(factor[1]), int(factor[2])
        candidates += [one * (two + 1), one * (two - 1), (one + 1) * two, (one - 1) * two]
    wrong = [value for value in candidates if value != right and 1 <= value <= _LARGEST]
    return replace(line, value=rng.choice(wrong))


def carried(question: str, lines: Sequence[Line], place: int, wrong: Line) -> list[Line] | None:
    """All lines with `wrong` at `place` and the wrong number carried through the lines after it.

    None where a changed number also occurs elsewhere, so that nobody can tell which one is meant, or where a result is
    not whole.
    """
    known = Counter([*map(int, _NUMBER.findall(question)), *(line.value for line in lines)])
    instead = {lines[place].value: wrong.value}
    out = [*lines[:place], wrong]
    for line in lines[place + 1 :]:
        operands = map(int, _NUMBER.findall(line.equation))
        if any(operand in instead and known[operand] > 1 for operand in operands):
            return None
        equation = _NUMBER.sub(lambda number: str(instead.get(int(number[0]), int(number[0]))), line.equation)
        value = result(equation)
        if value is None:
            return None
        instead[line.value] = value
        out.append(replace(line, equation=equation, value=value))
    return out
