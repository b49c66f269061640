"""Counting the answers of one program's branches, one at a time.

A ballot is order-free: what it says depends on which branch gave which answer, not on which landed first; the streak
alone is about the order of landing. Every question is answered in constant time, so a program may ask after each
branch. It does not know what its figures are used for; `certaindex.entropy` and the allocation policies do.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import log

from dynasor.answers.grouping import ByNormalForm, GroupId, Grouping

_UNIT = 1 << 60  # c ln c is kept as a whole number of 2^-60 nats, so that sums are exact and order-free


@lru_cache(maxsize=1 << 17)
def _fixed_xlogx(count: int) -> int:
    return round(count * log(count) * _UNIT) if count > 1 else 0


@dataclass(slots=True)
class _Group:
    answer: str  # as its lowest-numbered branch spelled it
    first: int  # that branch
    count: int = 0

    def beats(self, other: "_Group | None") -> bool:
        return other is None or (self.count, -self.first) > (other.count, -other.first)


@dataclass(frozen=True, slots=True)
class Votes:
    """What a policy may know of the votes.

    Attributes:
        cast: branches that voted, those without an answer included.
        leader: votes of the leading answer; 0 while no answer was extracted.
        runner_up: votes of the next answer.
        groups: distinct answers, "no answer" counting as one where there is any.
        streak: how many of the latest votes to land agree with the very last one; 0 after a branch without an answer.
            Where groups turned out to be one it may be too small, never too large.
        leader_wins_ties: nothing that can still land would win a tie against the leader.
    """

    cast: int = 0
    leader: int = 0
    runner_up: int = 0
    groups: int = 0
    streak: int = 0
    leader_wins_ties: bool = False


class Ballot:
    """The votes of one program's branches.

    The majority answer has the most votes; among equals the one with the lowest-numbered branch. Branches without an
    answer form a class of their own, which never wins while any answer exists.
    """

    def __init__(self, grouping: Grouping | None = None) -> None:
        self._grouping = grouping or ByNormalForm()
        self._groups: dict[GroupId, _Group] = {}
        self._leader: _Group | None = None
        self._runner_up: _Group | None = None
        self._earliest: _Group | None = None  # the answer with the lowest-numbered branch of all
        self._last: _Group | None = None
        self._streak = 0
        self._xlogx = 0
        self._landed_early: set[int] = set()  # branches above the first gap
        self._first_gap = 0
        self.cast_count = 0
        self.unanswered = 0

    def cast(self, branch: int, answer: str | None) -> None:
        """Count one branch's answer; each branch votes once."""
        self.cast_count += 1
        self._close_gap(branch)
        if answer is None:
            self._xlogx += _fixed_xlogx(self.unanswered + 1) - _fixed_xlogx(self.unanswered)
            self.unanswered += 1
            self._last, self._streak = None, 0
            return
        group = self._find(branch, answer)
        self._xlogx += _fixed_xlogx(group.count + 1) - _fixed_xlogx(group.count)
        group.count += 1
        self._rank(group)
        self._streak = self._streak + 1 if group is self._last else 1
        self._last = group

    def abstain(self, branch: int) -> None:
        """A branch that will never vote: it failed."""
        self._close_gap(branch)

    @property
    def majority(self) -> str | None:
        """The answer with the most votes; None while there is none."""
        return self._leader.answer if self._leader else None

    @property
    def counts(self) -> list[int]:
        """Votes of every group, "no answer" last where there is any; unordered."""
        counts = [group.count for group in self._groups.values()]
        return [*counts, self.unanswered] if self.unanswered else counts

    @property
    def concentration(self) -> float:
        """Sum of c ln c over the groups' sizes c, relative to n ln n for all votes in one group; 1 for n < 2."""
        whole = _fixed_xlogx(self.cast_count)
        return self._xlogx / whole if whole else 1.0

    def votes(self) -> Votes:
        """A frozen view for a policy."""
        leader, runner_up = self._leader, self._runner_up
        return Votes(
            self.cast_count,
            leader.count if leader else 0,
            runner_up.count if runner_up else 0,
            len(self._groups) + (self.unanswered > 0),
            self._streak,
            leader is not None and leader is self._earliest and leader.first < self._first_gap,
        )

    def _close_gap(self, branch: int) -> None:
        if branch != self._first_gap:
            self._landed_early.add(branch)
            return
        self._first_gap += 1
        while self._first_gap in self._landed_early:
            self._landed_early.remove(self._first_gap)
            self._first_gap += 1

    def _find(self, branch: int, answer: str) -> _Group:
        placement = self._grouping.place(answer)
        group = self._groups.get(placement.group)
        if group is None:
            group = self._groups[placement.group] = _Group(answer, branch)
        elif branch < group.first:
            group.answer, group.first = answer, branch
        if placement.joined:
            self._join(group, placement.joined)
        if self._earliest is None or group.first < self._earliest.first:
            self._earliest = group
        return group

    def _join(self, kept: _Group, joined: tuple[GroupId, ...]) -> None:
        for other in (self._groups.pop(name) for name in joined):
            self._xlogx += _fixed_xlogx(kept.count + other.count) - _fixed_xlogx(kept.count) - _fixed_xlogx(other.count)
            kept.count += other.count
            if other.first < kept.first:
                kept.answer, kept.first = other.answer, other.first
            self._last = kept if self._last is other else self._last
        self._leader = self._runner_up = None
        self._earliest = min(self._groups.values(), key=lambda group: group.first)
        for group in self._groups.values():
            self._rank(group)

    def _rank(self, group: _Group) -> None:
        """Keep the two best, given that only `group` has gained."""
        if group is self._leader:
            return
        if group.beats(self._leader):
            self._leader, self._runner_up = group, self._leader
        elif group is not self._runner_up and group.beats(self._runner_up):
            self._runner_up = group
