"""Votes that weigh: the answers of one program's branches, each with a weight.

Order-free, as `voting.Ballot` is: sums are rounded once, so that they do not depend on the order of landing. It does
not know where weights come from.
"""

from dataclasses import dataclass, field
from math import fsum, isfinite, log

from dynasor.answers.grouping import ByNormalForm, GroupId, Grouping
from dynasor.errors import ProgramError


@dataclass(slots=True)
class _Group:
    answer: str  # as its lowest-numbered branch spelled it
    first: int  # that branch
    weights: list[float] = field(default_factory=list)

    def take(self, other: "_Group") -> None:
        if other.first < self.first:
            self.answer, self.first = other.answer, other.first
        self.weights += other.weights


class WeightedBallot:
    """The weighted votes of one program's branches.

    The majority answer has the greatest sum of weights; among equals the one with the lowest-numbered branch. A branch
    without an answer has nothing to be weighed by: it counts as much as the mean of those that have one. Such branches
    are a class of their own, which never wins.

    Attributes:
        cast_count: branches that voted, those without an answer included.
        unanswered: those without an answer.
    """

    def __init__(self, grouping: Grouping | None = None) -> None:
        self._grouping = grouping or ByNormalForm()
        self._groups: dict[GroupId, _Group] = {}
        self.cast_count = 0
        self.unanswered = 0

    def cast(self, branch: int, answer: str, weight: float) -> None:
        """Count one branch's answer; each branch votes once.

        Raises:
            ProgramError: the weight is negative, or no number.
        """
        if not (isfinite(weight) and weight >= 0.0):
            raise ProgramError(f"branch {branch} weighs {weight:g}; a weight is a number of at least 0")
        self.cast_count += 1
        placement = self._grouping.place(answer)
        group = self._groups.setdefault(placement.group, _Group(answer, branch))
        group.take(_Group(answer, branch, [weight]))
        for joined in placement.joined:
            group.take(self._groups.pop(joined))

    def cast_without_answer(self) -> None:
        """Count a branch that has none."""
        self.cast_count += 1
        self.unanswered += 1

    @property
    def majority(self) -> str | None:
        """The answer that weighs most; None while there is none."""
        leader = self._leader
        return leader.answer if leader else None

    @property
    def share(self) -> float:
        """What the leading answer weighs, as a share of all, in [0, 1]; 0 while there is none that weighs anything."""
        leader, total = self._leader, fsum(self._weights())
        return fsum(leader.weights) / total if leader and total else 0.0

    @property
    def certaindex(self) -> float:
        """1 - H / log n over the groups' shares of the weight, for n branches, in [0, 1] (paper 3.1, equation 1).

        The plain certaindex where all weigh the same. 1 if all agree, 0 if no two agree and all weigh the same; 0 for
        fewer than two branches, and while no answer weighs anything.
        """
        weights = self._weights()
        total = fsum(weights)
        if self.cast_count < 2 or not total:
            return 0.0
        shares = [share for weight in weights if (share := weight / total)]  # the tiniest weight is no share
        return min(1.0, max(0.0, 1.0 + fsum(share * log(share) for share in shares) / log(self.cast_count)))

    @property
    def _leader(self) -> _Group | None:
        return max(self._groups.values(), key=lambda group: (fsum(group.weights), -group.first), default=None)

    def _weights(self) -> list[float]:
        """Of every group, and of the branches without an answer where there are any."""
        groups = [fsum(group.weights) for group in self._groups.values()]
        answered = self.cast_count - self.unanswered
        if not (self.unanswered and answered):
            return groups
        return [*groups, fsum(w for group in self._groups.values() for w in group.weights) / answered * self.unanswered]
