"""Stopping once the leading answer will probably still lead at the cap: `decided` by odds (cf. paper 4).

The Beta rule asks which of two answers is the more frequent in an endless run, so it goes on where the few branches
that are left could hardly change anything. This one asks about those that are left.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import exp, lgamma

from dynasor.allocation.bounds import within
from dynasor.allocation.progress import Grant, Progress, stop


@dataclass(frozen=True, slots=True)
class Lasting:
    """Stop once the runner-up will not overtake the leader by the cap, with this confidence.

    Votes to come are drawn as those before them were, by the leader, the runner-up and all others, from a uniform prior
    over their shares. A tie at the cap is taken for no loss: which of two equal answers comes first tells nothing about
    which is right. Of the others none is expected to overtake both.
    """

    confidence: float = 0.95

    def __post_init__(self) -> None:
        """Certainty is what `decided` waits for."""
        within("confidence", self.confidence, 0.5, 0.999999)

    def __call__(self, progress: Progress) -> Grant:
        """Judge whenever the rule could be satisfied; never before there is an answer."""
        votes = progress.votes
        others = votes.cast - votes.leader - votes.runner_up
        if not votes.leader:
            return Grant(1)
        missing = branches_missing(votes.leader, votes.runner_up, others, progress.remaining, self.confidence)
        return Grant(missing) if missing else stop("leader will last")


@lru_cache(maxsize=1 << 16)
def branches_missing(leader: int, runner_up: int, others: int, remaining: int, confidence: float) -> int:
    """How many of the remaining branches must vote for the leader, one after the other, to satisfy the rule."""
    low, high = 0, remaining
    while low < high:
        middle = (low + high) // 2
        if lasts(leader + middle, runner_up, others, remaining - middle) >= confidence:
            high = middle
        else:
            low = middle + 1
    return low


@lru_cache(maxsize=1 << 16)
def lasts(leader: int, runner_up: int, others: int, remaining: int) -> float:
    """The probability, in [0, 1], that the runner-up has no more votes than the leader once the remaining are cast.

    A sum over how many of the remaining go to either of the two, of the probability that the leader gets enough of
    these; each term follows from the one before, so it takes time linear in the remaining.
    """
    ahead, behind = leader + 1, runner_up + 1
    enough = 1.0  # the probability that of `drawn` votes the leader gets at least `wanted`
    wanted, total = 0, 0.0
    for drawn in range(remaining + 1):
        total += _share(remaining, drawn, ahead + behind, others + 1) * enough
        more = max(0, -(-(drawn + 1 + runner_up - leader) // 2))
        if more == wanted:  # one vote more can only help, where exactly one was missing
            if wanted:
                enough += _share(drawn, wanted - 1, ahead, behind) * (ahead + wanted - 1) / (ahead + behind + drawn)
        else:  # those that had just enough need the next one
            enough -= _share(drawn, wanted, ahead, behind) * (behind + drawn - wanted) / (ahead + behind + drawn)
            wanted = more
    return min(1.0, total)


def _share(count: int, hits: int, ahead: int, behind: int) -> float:
    """The probability of so many hits among `count` draws from an urn that gets back one ball more at each draw."""
    chosen = lgamma(count + 1) - lgamma(hits + 1) - lgamma(count - hits + 1)
    ways = lgamma(ahead + hits) - lgamma(ahead) + lgamma(behind + count - hits) - lgamma(behind)
    return exp(chosen + ways - lgamma(ahead + behind + count) + lgamma(ahead + behind))
