"""Tests of a promise that may be looked at after every program, for as long as a run goes on (arXiv 2210.01948).

Somebody bets on every program that the mean of what is seen is above the most that it may be. Where it is not, odds
are such that capital does not grow in expectation, whatever was seen before; so it ever reaches 1 / p with a chance of
p at most (Ville), and reaching it raises the alarm. Three things are looked at:

- the accuracy that the policy loses on shadow programs, against the tolerance of the promise;
- where a right answer is not known, the answers that it changes, against how many it changed in calibration;
- the effort of every program, the share of the cap that the policy takes: harder problems and weaker models take more
  than in calibration, and that is seen without any label and long before a loss is.

The false-alarm rate: a run raises an alarm with a chance of 1 - confidence at most (5 % for a promise at 95 %), however
long it is. Half of that goes to the loss, an eighth each to answers and effort, and an eighth each to the bounds that
calibration put on them. It assumes that the promise holds, and that problems are drawn independently from those that
were calibrated on; programs are looked at in the order of the problems, since the order in which they end tells of
their effort. This module knows no program and no record.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import exp, inf, log, log1p

from dynasor.calibration.guarantee import STAKES, Promise

LOSS_PART, OTHER_PART = 0.5, 0.125
LOSS, CHANGED, EFFORT = "accuracy lost", "answers changed", "effort above calibration"


class Wager:
    """A bet that the mean of values is above `most`; values are in [least, 1].

    Where `most` is 1 or more nothing can be won, and where it is `least` or below anything above it wins at once.
    """

    def __init__(self, most: float, least: float = 0.0) -> None:
        self.most = most
        self._least = least
        self._logs = [log(share) for _, share in STAKES]
        self.count = 0
        self.mean = 0.0

    def take(self, value: float) -> None:
        """Look at one value."""
        self.count += 1
        self.mean += (value - self.mean) / self.count
        growths = _growths(value, self.most, self._least)
        self._logs = [own + growth for own, growth in zip(self._logs, growths, strict=True)]

    def won(self, level: float) -> bool:
        """Whether capital has come to 1 / level; to be asked after every value."""
        highest = max(self._logs)
        if abs(highest) == inf or highest < -log(level) - log(len(STAKES)):
            return highest == inf
        return highest + log(sum(exp(each - highest) for each in self._logs)) >= -log(level)


@lru_cache(maxsize=1 << 12)
def _growths(value: float, most: float, least: float) -> tuple[float, ...]:
    """For each stake the logarithm of what capital is multiplied by; kept, for values are few."""
    room = most - least
    odds = (value - most) / room if room > 0 else (inf if value > most else 0.0)
    return tuple(log1p(stake * odds) if stake * odds > -1 else -inf for stake, _ in STAKES)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a run is held to.

    Attributes:
        changed: the share of answers changed is at most this.
        effort: the mean share of the cap is at most this; None where nobody knows.
    """

    promise: Promise
    changed: float
    effort: float | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """A shadow program: what its policy would have made of it, against its cap.

    Attributes:
        loss: accuracy, in [-1, 1]; None where no right answer is known.
        changed: whether the answer is another one.
    """

    loss: float | None
    changed: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """A program that has ended under the policy, or would have: the share of the cap that it took, in [0, 1]."""

    effort: float
    shadow: Compared | None = None


class Drift:
    """Watches the programs of a run, in the order of the problems.

    Attributes:
        alarm: what has become too much; None as long as nothing has. It stays.
        programs, shadows: how many were looked at.
    """

    def __init__(self, expected: Expectation) -> None:
        level = expected.promise.level
        self._levels = {LOSS: LOSS_PART * level, CHANGED: OTHER_PART * level, EFFORT: OTHER_PART * level}
        self._wagers = {LOSS: Wager(expected.promise.tolerance, -1.0), CHANGED: Wager(expected.changed)}
        if expected.effort is not None:
            self._wagers[EFFORT] = Wager(expected.effort)
        self.alarm: str | None = None
        self.programs = self.shadows = 0

    def take(self, seen: Seen) -> None:
        """Look at one program; after an alarm nothing more is looked at."""
        if self.alarm is not None:
            return
        self.programs += 1
        self._look(EFFORT, seen.effort)
        if seen.shadow is not None:
            self.shadows += 1
            if seen.shadow.loss is not None:
                self._look(LOSS, seen.shadow.loss)
            else:
                self._look(CHANGED, float(seen.shadow.changed))

    def wager(self, about: str) -> Wager:
        """The bet about one of the three."""
        return self._wagers[about]

    def _look(self, about: str, value: float) -> None:
        wager = self._wagers.get(about)
        if wager is None:
            return
        wager.take(value)
        if self.alarm is None and wager.won(self._levels[about]):
            self.alarm = about
