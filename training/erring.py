"""Solutions of a reasoner who slips now and then and does not notice: the last lesson of the policy.

A policy of this size that has learnt its problems well errs where it cannot reckon, always in the same way, and a vote
mends little. Large models also err at random. So it is shown solutions in which a line may have a wrong result, with
which the lines after it go on, and learns to slip about as often. It knows problems and slips, not tokens.
"""

import random

from training.problems import ANSWER_PHRASE, WordProblem
from training.slips import carried, read, slipped

SLIP_RATE = 0.25  # of the lines at temperature 1; where a slip cannot be carried on, the line stays right


def erring(rng: random.Random, problem: WordProblem) -> str:
    """A solution in which one line may have slipped, and the answer that follows from it."""
    lines = read(problem.steps)
    for place, line in enumerate(lines):
        wrong = slipped(rng, line) if rng.random() < SLIP_RATE else None
        if wrong and (written := carried(problem.question, lines, place, wrong)):
            lines = written
            break
    return "\n".join((*(line.text for line in lines), f"{ANSWER_PHRASE} {lines[-1].value}"))
