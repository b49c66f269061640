"""Wrong solutions made by program: slips in a result, wrong operands, wrong operations, an end too early.

Each is a solution as a careless reasoner writes it: what follows a wrong number goes on with it. It knows lines, not
labels.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from training.problems import ANSWER_PHRASE, WordProblem
from training.slips import Line, carried, read, result, slipped

_OTHER_SIGN = {"+": "-*", "-": "+/", "*": "+/", "/": "*-"}


def corrupted(rng: random.Random, problem: WordProblem) -> str | None:
    """A wrong solution of the problem, or None where the numbers do not allow the error that was drawn."""
    lines = read(problem.steps)
    if len(lines) > 1 and rng.random() < 0.1:
        kept = lines[: rng.randint(1, len(lines) - 1)]
        return _solution(kept)
    place = rng.randrange(len(lines))
    kind: Callable[[random.Random, WordProblem, Sequence[Line], int], Line | None]
    kind = rng.choices((_slip, _other_operand, _other_sign), (0.6, 0.25, 0.15))[0]
    wrong = kind(rng, problem, lines, place)
    if wrong is None or wrong.value == lines[place].value:
        return None
    written = carried(problem.question, lines, place, wrong)
    return None if written is None or written[-1].value == problem.answer else _solution(written)


def _solution(lines: Sequence[Line]) -> str:
    return "\n".join((*(line.text for line in lines), f"{ANSWER_PHRASE} {lines[-1].value}"))


def _slip(rng: random.Random, _: WordProblem, lines: Sequence[Line], place: int) -> Line | None:
    return slipped(rng, lines[place])


def _other_operand(rng: random.Random, problem: WordProblem, lines: Sequence[Line], place: int) -> Line | None:
    """Another number of the question, or an earlier result, in place of one operand."""
    numbers = [int(number) for number in re.findall(r"\d+", problem.question)]
    numbers += [line.value for line in lines[:place]]
    parts = re.split(r"([+*/-])", lines[place].equation)
    parts[rng.choice((0, 2))] = str(rng.choice(numbers))
    return _with("".join(parts), lines[place])


def _other_sign(rng: random.Random, _: WordProblem, lines: Sequence[Line], place: int) -> Line | None:
    """Another operation on the same operands."""
    parts = re.split(r"([+*/-])", lines[place].equation)
    parts[1] = rng.choice(_OTHER_SIGN[parts[1]])
    return _with("".join(parts), lines[place])


def _with(equation: str, line: Line) -> Line | None:
    value = result(equation)
    return None if value is None or equation == line.equation else replace(line, equation=equation, value=value)
