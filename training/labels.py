"""Which lines of a sampled solution are right so far: exact labels, from the solution that the generator knows.

A line is right if it makes one of the calculations of the known solution, in any order, with the right result, and all
lines before it are. It knows problems and texts, not models.
"""

import re
from collections import Counter
from dataclasses import dataclass

from training.problems import ANSWER_PHRASE, WordProblem
from training.slips import Line, read

_ANSWER = re.compile(rf"{re.escape(ANSWER_PHRASE)} (\d+)")


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known of a solution.

    Attributes:
        wrong_from: the first character from which on it is not right; None where all of it is.
        right: whether the answer is the problem's.
    """

    wrong_from: int | None
    right: bool

    @property
    def clear(self) -> bool:
        """Whether lines and answer say the same: a right answer after a wrong line was luck, or another way to it."""
        return self.right == (self.wrong_from is None)


def judge(problem: WordProblem, text: str) -> Judged:
    """Compares a solution with the problem's."""
    known = read(problem.steps)
    left = Counter(_calculation(line) for line in known)
    start = 0
    wrong_from: int | None = None
    answer: int | None = None
    for written in text.split("\n"):
        asked = _ANSWER.fullmatch(written)
        if asked:
            answer = int(asked[1])
            fits = answer == problem.answer and not +left
        else:
            fits = _taken(left, written)
        if not fits and wrong_from is None:
            early = asked is not None and +left  # an answer before all lines are there is wrong from its first word
            known_lines = [*problem.steps, f"{ANSWER_PHRASE} {problem.answer}"]
            wrong_from = start + (0 if early else _shared(written, known_lines))
        start += len(written) + 1
    if answer is None and wrong_from is None:
        wrong_from = len(text)
    return Judged(wrong_from, answer == problem.answer)


def _calculation(line: Line) -> tuple[tuple[str, ...], int]:
    """Operands and result; the order of the operands of a sum or a product does not matter."""
    parts = re.split(r"([+*])", line.equation)
    operands = sorted(parts) if len(parts) == 3 and "/" not in line.equation else parts
    return tuple(operands), line.value


def _taken(left: Counter[tuple[tuple[str, ...], int]], written: str) -> bool:
    """Whether the line is one that the known solution still needs; if so it is needed no more."""
    try:
        (line,) = read([written])
    except ValueError:
        return False
    made = _calculation(line)
    if left[made] < 1:
        return False
    left[made] -= 1
    return True


def _shared(written: str, known: list[str]) -> int:
    """How many characters the line shares with the known line that begins most like it."""
    return max(_alike(written, line) for line in known)


def _alike(one: str, two: str) -> int:
    differing = (place for place, (a, b) in enumerate(zip(one, two, strict=False)) if a != b)
    return next(differing, min(len(one), len(two)))
