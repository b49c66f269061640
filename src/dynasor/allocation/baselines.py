"""The paper's baselines (6.2) and the rules of its neighbours, to compare with."""

from dataclasses import dataclass
from functools import lru_cache
from math import comb, sqrt
from statistics import NormalDist

from dynasor.allocation.bounds import at_least, within
from dynasor.allocation.progress import Grant, Progress, stop


@dataclass(frozen=True, slots=True)
class Even:
    """Everybody gets the cap (baseline-even)."""

    def __call__(self, progress: Progress) -> Grant:
        """Grant all that remains."""
        return Grant(progress.remaining)


@dataclass(frozen=True, slots=True)
class Length:
    """Go on only if the branches up to the detection step took many tokens, a sign of difficulty (baseline-length).

    `tokens` is the cumulative count, over `detect_at` branches, that a program must exceed to go on.
    """

    tokens: int
    detect_at: int = 5

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        at_least("tokens", self.tokens, 0)
        at_least("detect_at", self.detect_at, 1)

    def __call__(self, progress: Progress) -> Grant:
        """Judge once, at the detection step."""
        if progress.knob < self.detect_at:
            return Grant(self.detect_at - progress.knob)
        short = progress.knob == self.detect_at and progress.tokens <= self.tokens
        return stop("short") if short else Grant(progress.remaining)


@dataclass(frozen=True, slots=True)
class Windows:
    """Early-stopping self-consistency: stop once a whole window of branches agrees (Li et al., arXiv 2401.10480)."""

    window: int = 5

    def __post_init__(self) -> None:
        """One branch agrees with itself: a window is at least two."""
        at_least("window", self.window, 2)

    def __call__(self, progress: Progress) -> Grant:
        """Judge after every window."""
        within_window = progress.knob % self.window
        agrees = not within_window and progress.votes.streak >= self.window
        return stop("window agrees") if agrees else Grant(self.window - within_window)


@dataclass(frozen=True, slots=True)
class Beta:
    """Adaptive-Consistency: stop once the leader probably leads for good (Aggarwal et al., arXiv 2305.11860).

    With v1 and v2 the two top counts and a uniform prior, the leader is the more frequent answer with probability
    1 - I_{1/2}(v1 + 1, v2 + 1) = Pr[Bin(v1 + v2 + 1, 1/2) <= v1]. The original draws one branch at a time; this one
    draws the fewest that could satisfy the rule, which stops at the same branch in far fewer rounds.
    """

    confidence: float = 0.95

    def __post_init__(self) -> None:
        """Certainty is never reached, and a coin needs no votes."""
        within("confidence", self.confidence, 0.5, 0.999999)

    def __call__(self, progress: Progress) -> Grant:
        """Judge whenever the rule could be satisfied."""
        missing = votes_missing(progress.votes.leader, progress.votes.runner_up, self.confidence)
        return Grant(missing) if missing else stop("leader is likely")


def leads_for_good(leader: int, runner_up: int) -> float:
    """The probability, in [0, 1], that the leading answer is the more frequent of the top two."""
    total = leader + runner_up + 1
    if total > 1000:  # where the normal approximation errs by less than 0.001 and whole numbers grow too long
        return NormalDist(total / 2, sqrt(total) / 2).cdf(leader + 0.5)
    return float(sum(comb(total, k) for k in range(leader + 1)) / (1 << total))


@lru_cache(maxsize=1 << 16)
def votes_missing(leader: int, runner_up: int, confidence: float) -> int:
    """How many votes in a row the leader needs to satisfy the Beta rule; 0 if it does already."""
    missing = 0
    while leads_for_good(leader + missing, runner_up) < confidence:
        missing += 1
    return missing
