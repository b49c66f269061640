"""Programs for the scheduler inside vLLM, made from a seed: how many branches they have, how long each is, and of what.

Four data sets with lengths of their own; the programs of one differ, and so do the branches of a program. It knows no
engine.
"""

from dataclasses import dataclass
from math import exp
from random import Random

DATA_SETS = {"short": 15.0, "middle": 30.0, "long": 55.0, "longest": 90.0}
"""Median tokens of a branch."""

_PROGRAM_SPREAD, _BRANCH_SPREAD, _NOISE = 0.4, 0.3, 0.2
_LEAST, _MOST = 5, 150


@dataclass(frozen=True, slots=True)
class MadeProgram:
    """One program: the tokens of each branch, by rounds, and how far off its client's estimates are."""

    index: int
    data_set: str
    rounds: tuple[tuple[int, ...], ...]
    error: float

    @property
    def tokens(self) -> int:
        """All that it generates."""
        return sum(map(sum, self.rounds))

    def estimate(self, turn: int) -> float:
        """What its client believes before a round that it needs yet."""
        return max(1.0, self.error * sum(map(sum, self.rounds[turn:])))

    def branches_left(self, turn: int) -> int:
        """How many requests it makes from a round on."""
        return sum(map(len, self.rounds[turn:]))


def make_programs(seed: int, *, count: int = 20, rounds: int = 1, branches: int = 8) -> list[MadeProgram]:
    """Programs whose branches are spread evenly over their rounds; their lengths depend on the seed alone."""
    random = Random(seed)
    return [_program(index, random, rounds, branches) for index in range(count)]


def arrivals(seed: int, programs: list[MadeProgram]) -> list[tuple[MadeProgram, int]]:
    """The requests of all first rounds, program and branch, in the order in which they arrive: shuffled."""
    order = [(program, branch) for program in programs for branch in range(len(program.rounds[0]))]
    Random(f"arrivals {seed}").shuffle(order)
    return order


def _program(index: int, random: Random, rounds: int, branches: int) -> MadeProgram:
    data_set = random.choice(list(DATA_SETS))
    median = DATA_SETS[data_set] * exp(random.gauss(0, _PROGRAM_SPREAD))
    lengths = [round(median * exp(random.gauss(0, _BRANCH_SPREAD))) for _ in range(branches)]
    bounded = [min(_MOST, max(_LEAST, tokens)) for tokens in lengths]
    width = branches // rounds
    parts = tuple(tuple(bounded[at : at + width]) for at in range(0, branches, width))
    return MadeProgram(index, data_set, parts, 1 + random.uniform(-_NOISE, _NOISE))
