"""95 % confidence intervals in closed form, which take constant memory while a run streams.

Problems are the independent units throughout; branches of one problem are not.
"""

from dataclasses import dataclass
from math import nan, sqrt

Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(slots=True)
class RunningMean:
    """The mean of a stream of numbers, by Welford's recurrence."""

    count: int = 0
    mean: float = 0.0
    _squares: float = 0.0

    def add(self, value: float) -> None:
        """Take in one number."""
        self.count += 1
        delta = value - self.mean
        self.mean += delta / self.count
        self._squares += delta * (value - self.mean)

    def estimate(self) -> Estimate:
        """The mean with its normal interval; without bounds below two numbers."""
        if self.count < 2:
            return Estimate(self.mean if self.count else nan, nan, nan)
        half = Z95 * sqrt(self._squares / (self.count - 1) / self.count)
        return Estimate(self.mean, self.mean - half, self.mean + half)


@dataclass(slots=True)
class RunningSaving:
    """1 - sum(spent) / sum(reference) over a stream of pairs, with the delta method's interval."""

    count: int = 0
    spent: float = 0.0
    reference: float = 0.0
    _spent2: float = 0.0
    _reference2: float = 0.0
    _cross: float = 0.0

    def add(self, spent: float, reference: float) -> None:
        """Take in one problem's tokens and what it would have taken otherwise."""
        self.count += 1
        self.spent += spent
        self.reference += reference
        self._spent2 += spent * spent
        self._reference2 += reference * reference
        self._cross += spent * reference

    def estimate(self) -> Estimate:
        """The share saved; without bounds below two problems."""
        if not self.reference:
            return Estimate(nan, nan, nan)
        ratio = self.spent / self.reference
        if self.count < 2:
            return Estimate(1 - ratio, nan, nan)
        residual2 = max(0.0, self._spent2 - 2 * ratio * self._cross + ratio * ratio * self._reference2)
        half = Z95 * sqrt(residual2 * self.count / (self.count - 1)) / self.reference
        return Estimate(1 - ratio, 1 - ratio - half, 1 - ratio + half)


def wilson(successes: float, count: int) -> Estimate:
    """A share with Wilson's interval, which stays within [0, 1] and holds near its ends."""
    if not count:
        return Estimate(nan, nan, nan)
    share, z2 = successes / count, Z95 * Z95
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z95 * sqrt(share * (1 - share) / count + z2 / (4 * count * count)) / (1 + z2 / count)
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half))
