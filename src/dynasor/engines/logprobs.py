"""How sure a model was of what it wrote, by the log-probabilities of its tokens. Knows no engine.

The mean over the last tokens and the least mean over any as many in a row are DeepConf's tail and lowest-group
confidence (arXiv 2508.15260), taken here over the tokens that were drawn and not over the likeliest twenty.
"""

from collections import deque
from math import isfinite
from typing import Final

WINDOW: Final = 64
"""Tokens of a group. DeepConf takes 2048, for traces of tens of thousands of tokens; answers here have some hundreds,
and of an answer shorter than its window the three means are one."""

_SCALE: Final = 1 << 40  # sums are of whole numbers, for a running sum of floats drifts


class LogprobMeans:
    """Takes log-probabilities one by one, and holds their means: exact to 1e-12, in constant time for each token.

    Attributes:
        count: how many it has taken.
    """

    def __init__(self, window: int = WINDOW) -> None:
        self.count = 0
        self._window = window
        self._last: deque[int] = deque(maxlen=window)
        self._sum = 0
        self._tail_sum = 0
        self._lowest_sum: int | None = None

    def add(self, logprob: float) -> None:
        """Take the next one; what is not finite tells nothing, and is left out."""
        if not isfinite(logprob):
            return
        scaled = round(logprob * _SCALE)
        if len(self._last) == self._window:
            self._tail_sum -= self._last[0]
        self._last.append(scaled)
        self.count += 1
        self._sum += scaled
        self._tail_sum += scaled
        if self.count >= self._window:
            lowest = self._tail_sum if self._lowest_sum is None else self._lowest_sum
            self._lowest_sum = min(lowest, self._tail_sum)

    @property
    def mean(self) -> float | None:
        """Over all; None before the first."""
        return self._sum / (self.count * _SCALE) if self.count else None

    @property
    def tail(self) -> float | None:
        """Over the last window; over all where there are fewer."""
        return self._tail_sum / (len(self._last) * _SCALE) if self._last else None

    @property
    def lowest(self) -> float | None:
        """The least over any full window; over all where there are fewer."""
        return self.mean if self._lowest_sum is None else self._lowest_sum / (self._window * _SCALE)
