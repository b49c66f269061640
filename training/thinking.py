"""Chains that think aloud: a first attempt, a check of every calculation, and a mend where the check fails.

What a reasoning model writes between `<think>` and `</think>`, in small: it slips, says "Wait", checks itself, and may
be cut short at any line and asked for its answer. It knows problems and slips, not tokens.
"""

import random
from collections.abc import Sequence

from training.problems import ANSWER_PHRASE, WordProblem
from training.slips import Line, carried, read, slipped

OPEN, CLOSE = "<think>", "</think>"
TENTATIVE = "So it may be"
_SLIP_NOTICED_AT_ONCE = 0.06  # of lines
_SLIP_FOUND_BY_CHECK = 0.4  # of chains, where the slip can be carried on
_CHECKED_AGAIN = 0.3  # of chains
_CUT_SHORT = 0.15  # of chains


def thought(rng: random.Random, problem: WordProblem) -> str:
    """A chain, its end and the answer line; in some the chain is cut short and the answer follows at once."""
    lines = chain(rng, problem)
    if rng.random() < _CUT_SHORT:
        lines = lines[: rng.randint(0, len(lines))]
    return "\n".join((*lines, CLOSE, f"{ANSWER_PHRASE} {problem.answer}"))


def chain(rng: random.Random, problem: WordProblem) -> list[str]:
    """The lines between the marks."""
    right = read(problem.steps)
    attempt = _attempt(rng, problem.question, right)
    out = [*_written(rng, attempt), f"{TENTATIVE} {attempt[-1].value}", "Let me check"]
    for place, (claimed, line) in enumerate(zip(attempt, right, strict=True)):
        if claimed.value != line.value:
            out.append(f"{line.equation}={line.value} no")
            out += [f"Wait, {line.before} {line.value} {line.after}", *_written(rng, right[place + 1 :])]
            out.append(f"{TENTATIVE} {problem.answer}")
            break
        out.append(f"{line.equation}={line.value} yes")
    if rng.random() < _CHECKED_AGAIN:
        out += ["Let me check again", *(f"{line.equation}={line.value} yes" for line in right)]
    return out


def _attempt(rng: random.Random, question: str, right: Sequence[Line]) -> Sequence[Line]:
    """The first attempt: right, or with one slip that is carried through."""
    if rng.random() >= _SLIP_FOUND_BY_CHECK:
        return right
    place = rng.randrange(len(right))
    return carried(question, right, place, slipped(rng, right[place])) or right


def _written(rng: random.Random, lines: Sequence[Line]) -> list[str]:
    """The lines as they are written, some with a slip that is noticed at once."""
    out: list[str] = []
    for line in lines:
        if rng.random() < _SLIP_NOTICED_AT_ONCE:
            out += [slipped(rng, line).text, f"Wait, {line.equation}={line.value}"]
        else:
            out.append(line.text)
    return out
