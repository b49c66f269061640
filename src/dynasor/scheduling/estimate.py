"""How many tokens a branch takes, and how many branches are to come (paper 5.3.1: historical averages)."""

from typing import NamedTuple

_DRIFT = 0.1


class Kind(NamedTuple):
    """What programs have in common whose branches are of about the same length."""

    algorithm: str = ""
    data_set: str = ""


class History:
    """Mean tokens per branch for each kind of program.

    A mean is published anew only once it has moved by a tenth: so programs are ranked anew O(log branches) times for
    lengths that stay the same, and not at every branch.
    """

    def __init__(self, default_tokens: float = 256.0) -> None:
        self._default = default_tokens
        self._tokens: dict[Kind, int] = {}
        self._branches: dict[Kind, int] = {}
        self._published: dict[Kind, float] = {}

    def branch_tokens(self, kind: Kind) -> float:
        """The published mean; the default before any branch of this kind has landed."""
        return self._published.get(kind, self._default)

    def observe(self, kind: Kind, tokens: int, branches: int) -> bool:
        """Take in branches that landed; returns whether another mean was published."""
        self._tokens[kind] = self._tokens.get(kind, 0) + tokens
        self._branches[kind] = self._branches.get(kind, 0) + branches
        mean = self._tokens[kind] / self._branches[kind]
        if abs(mean - self.branch_tokens(kind)) <= _DRIFT * self.branch_tokens(kind):
            return False
        self._published[kind] = mean
        return True


def expected_knob(granted: int, remaining: int, certaindex: float) -> float:
    """The knob that a program is expected to turn yet.

    What was granted is turned for certain, what then remains below the cap the less likely the surer the program is:
    it takes certaindex, in [0, 1], for the probability that allocation grants no more.
    """
    return granted + (1.0 - certaindex) * (remaining - granted)
