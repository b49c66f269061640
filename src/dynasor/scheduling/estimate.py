"""How many tokens a branch takes, and how many branches are to come (paper 5.3.1: historical averages)."""

from typing import NamedTuple

_DRIFT = 0.1


class Kind(NamedTuple):
    """What programs have in common whose branches are of about the same length."""

    algorithm: str = ""
    data_set: str = ""


class History:
    """Mean tokens per branch for each kind of program, and over all kinds: the kind None.

    A mean is published anew only once it has moved by a tenth: so programs are ranked anew O(log branches) times for
    lengths that stay the same, and not at every branch.
    """

    def __init__(self, default_tokens: float = 256.0) -> None:
        self._default = default_tokens
        self._tokens: dict[Kind | None, int] = {}
        self._branches: dict[Kind | None, int] = {}
        self._published: dict[Kind | None, float] = {}

    def has(self, kind: Kind) -> bool:
        """Whether a branch of this kind has landed."""
        return kind in self._published

    def branch_tokens(self, kind: Kind) -> float:
        """The published mean; before a branch of this kind has landed that of all, before any has the default."""
        published = self._published
        return published[kind] if kind in published else published.get(None, self._default)

    def observe(self, kind: Kind, tokens: int, branches: int) -> tuple[Kind | None, ...]:
        """Take in branches that landed; returns of which kinds another mean was published."""
        moved: tuple[Kind | None, ...] = (kind,) if self._observe(kind, tokens, branches) else ()
        return (*moved, None) if self._observe(None, tokens, branches) else moved

    def _observe(self, kind: Kind | None, tokens: int, branches: int) -> bool:
        self._tokens[kind] = self._tokens.get(kind, 0) + tokens
        self._branches[kind] = self._branches.get(kind, 0) + branches
        mean, published = self._tokens[kind] / self._branches[kind], self._published.get(kind)
        if published is not None and abs(mean - published) <= _DRIFT * published:
            return False
        self._published[kind] = mean
        return True


def expected_knob(granted: int, remaining: int, certaindex: float) -> float:
    """The knob that a program is expected to turn yet.

    What was granted is turned for certain, what then remains below the cap the less likely the surer the program is:
    it takes certaindex, in [0, 1], for the probability that allocation grants no more.
    """
    return granted + (1.0 - certaindex) * (remaining - granted)
