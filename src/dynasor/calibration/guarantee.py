"""A finite-sample bound on the mean of bounded losses, by betting (Waudby-Smith and Ramdas, arXiv 2010.09686).

A loss is what a policy loses on a problem against even allocation: how right even is, less how right the policy is, in
[-1, 1]. Somebody bets on every problem, at odds that are fair where the mean loss is the tolerance t: with a stake s in
[0, 1], capital is multiplied by 1 + s (t - loss) / (1 - t), which is never negative. Where the mean loss is t or more,
capital does not grow in expectation, so by Markov's inequality it reaches 1 / p with a chance of p at most: its inverse
is a p-value for the losses being too large. Capital is split over several stakes beforehand, so the order of the
problems does not matter and no variance need be known. The one assumption: the problems are independent draws from
those that the promise is for.

Where no problem loses anything, about log(2 / p) / t of them are needed, which at 0.5 points and 95 % are 716;
Hoeffding's bound, which must assume the greatest variance, would take 240,000.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log, log1p

from dynasor.allocation.bounds import within

STAKES = (*((0.5**k, 0.5 ** (k + 1)) for k in range(7)), (0.5**7, 0.5**7))
"""(stake, share of the capital): small stakes are for losses that vary much."""


@dataclass(frozen=True, slots=True)
class Promise:
    """Accuracy is at most `tolerance` (a share of 1) below even allocation's, with this confidence.

    Raises:
        UsageError: where nothing of the kind can be promised.
    """

    tolerance: float
    confidence: float

    def __post_init__(self) -> None:
        """Certainty is never reached, and nobody promises to lose nothing."""
        within("tolerance, in points,", 100 * self.tolerance, 0.01, 50.0)
        within("confidence", self.confidence, 0.5, 0.9999)

    @property
    def level(self) -> float:
        """The chance that the promise may fail."""
        return 1 - self.confidence


def p_value(losses: Sequence[float], tolerance: float) -> float:
    """A p-value, in [0, 1], for the mean loss exceeding the tolerance; losses are in [-1, 1]."""
    return min(1.0, exp(-_log_capital(_growths(losses, tolerance), len(losses))))


def upper_bound(losses: Sequence[float], confidence: float) -> float:
    """What the mean loss does not exceed, with this confidence; in [-1, 1]."""
    low, high = -1.0, 1.0
    for _ in range(40):  # to a trillionth
        middle = (low + high) / 2
        low, high = (low, middle) if p_value(losses, middle) <= 1 - confidence else (middle, high)
    return high


def problems_needed(losses: Sequence[float], promise: Promise) -> int | None:
    """How many problems would do, if all lost as these do; None where any number would be too small."""
    growths = _growths(losses, promise.tolerance)
    wanted = -log(promise.level)
    if max(growths) <= 0:
        return None
    few, many = 0, 1
    while _log_capital(growths, many) < wanted:
        few, many = many, 2 * many
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if _log_capital(growths, middle) >= wanted else (middle, many)
    return many


def _growths(losses: Sequence[float], tolerance: float) -> list[float]:
    """For each stake the mean logarithm of what capital is multiplied by at a problem."""
    if tolerance >= 1 or not losses:
        return [inf if tolerance >= 1 else 0.0] * len(STAKES)
    counts = Counter(losses)  # most problems lose nothing
    return [_growth(counts, tolerance, stake) for stake, _ in STAKES]


def _growth(counts: Counter[float], tolerance: float, stake: float) -> float:
    odds = stake / (1 - tolerance)
    total = 0.0
    for loss, count in counts.items():
        won = odds * (tolerance - loss)
        if won <= -1:
            return -inf
        total += count * log1p(won)
    return total / counts.total()


def _log_capital(growths: Sequence[float], count: int) -> float:
    """The logarithm of the capital after so many problems, in nats."""
    logs = [
        count * growth + log(share) if count else log(share) for growth, (_, share) in zip(growths, STAKES, strict=True)
    ]
    highest = max(logs)
    if abs(highest) == inf:
        return highest
    return highest + log(sum(exp(each - highest) for each in logs))
