"""Stop where no majority is in sight: low certaindex that stays low is a reason to stop too (paper Fig. 1, 2.2).

Flat means: it would stay low even if the next branches were as kind as they can be. No history is looked at. Branches
that are drawn independently are exchangeable: given how the votes stand, the order in which they came tells nothing of
those to come. A program whose branches depend on one another, such as one long chain, is not judged well by this.
"""

from dataclasses import dataclass

from dynasor.allocation.bounds import at_least, within
from dynasor.allocation.progress import Grant, Progress, stop

UNCERTAIN = "uncertain"
"""The reason of a stop without hope: the answer is the best of many that hardly agree."""


@dataclass(frozen=True, slots=True)
class Hopeless:
    """Stop, from the detection step on, if certaindex is below the floor and no majority is within reach.

    It is no free lunch: on recordings, waiting on turned some of the stopped answers right (results/gain).

    A majority is within reach if `patience` votes in a row would bring the leader to half of all votes. A program that
    casts no votes is never stopped.
    """

    floor: float = 0.3
    patience: int = 10
    detect_at: int = 10

    def __post_init__(self) -> None:
        """Refuse what can never be met."""
        within("floor", self.floor, 0.0, 1.0)
        at_least("patience", self.patience, 1)
        at_least("detect_at", self.detect_at, 1)

    def __call__(self, progress: Progress) -> Grant:
        """Judge whenever a majority could have come out of reach, and every `patience` branches where it has."""
        if progress.knob < self.detect_at:
            return Grant(self.detect_at - progress.knob)
        votes = progress.votes
        missing = 2 * votes.leader + self.patience + 1 - votes.cast  # other votes that would put it out of reach
        if missing > 0:
            return Grant(missing)
        return stop(UNCERTAIN) if progress.certaindex < self.floor else Grant(self.patience)
