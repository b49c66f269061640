"""What candidates come to on fixed problems, each worked out once: a split is then a matter of sums.

A candidate is asked once in each situation, for programs are often in the same one. A situation is all that a policy is
told but tokens and streak, which no candidate looks at. Nothing is chosen here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dynasor.allocation.compose import FirstToStop
from dynasor.allocation.progress import Policy, Progress
from dynasor.calibration.profile import Path, ProblemProfile
from dynasor.metrics.intervals import Estimate, RunningSaving

_KEPT = 400  # candidates of which what is known is kept


@dataclass(frozen=True, slots=True)
class Candidate:
    """A policy and its canonical specification."""

    text: str
    policy: Policy


@dataclass(frozen=True, slots=True)
class Measured:
    """A candidate on some problems; one entry for each, means over its orders.

    Attributes:
        losses: how right even is less how right the candidate is, in [-1, 1].
        spent, even: tokens that it takes, and that even allocation takes.
    """

    candidate: Candidate
    losses: tuple[float, ...]
    spent: tuple[float, ...]
    even: tuple[float, ...]

    @property
    def loss(self) -> float:
        """The mean loss; 0 where there are no problems."""
        return sum(self.losses) / len(self.losses) if self.losses else 0.0

    @property
    def saved(self) -> float:
        """The share of even allocation's tokens that it does without; 0 where that takes none."""
        even = sum(self.even)
        return 1 - sum(self.spent) / even if even else 0.0

    @property
    def saving(self) -> Estimate:
        """The same, with its interval."""
        saving = RunningSaving()
        for spent, even in zip(self.spent, self.even, strict=True):
            saving.add(spent, even)
        return saving.estimate()


@dataclass(frozen=True, slots=True)
class _Walk:
    """A path, with the number of the situation at each knob."""

    situations: tuple[int, ...]
    right: tuple[float, ...]
    spent: tuple[int, ...]
    end: int


class Outcomes:
    """What candidates come to on these problems.

    Attributes:
        profiles: the problems; a place is an index among them.
    """

    def __init__(self, profiles: Sequence[ProblemProfile]) -> None:
        self.profiles = profiles
        self._situations: list[Progress] = []
        numbers: dict[object, int] = {}
        self._walks = [[self._walk(path, numbers) for path in profile.paths] for profile in profiles]
        self._even = [_mean([walk.spent[-1] for walk in walks]) for walks in self._walks]
        self._known: dict[str, dict[int, tuple[float, float]]] = {}
        self._grants: dict[Policy, dict[int, int]] = {}

    def measured(self, candidate: Candidate, places: Iterable[int]) -> Measured:
        """Play a candidate on every path of the problems at these places."""
        known = self._known.pop(candidate.text, {})
        self._known[candidate.text] = known  # the latest last
        if len(self._known) > _KEPT:
            del self._known[next(iter(self._known))]
        places = list(places)
        if missing := [place for place in places if place not in known]:
            known.update(self._played(candidate.policy, missing))
        figures = [known[place] for place in places]
        losses, spent = zip(*figures, strict=True) if figures else ((), ())
        return Measured(candidate, losses, spent, tuple(self._even[place] for place in places))

    def _walk(self, path: Path, numbers: dict[object, int]) -> _Walk:
        situations = []
        for each in path.progress:
            votes = each.votes
            told = (each.knob, each.cap, each.certaindex, votes.cast, votes.leader, votes.runner_up, votes.groups)
            number = numbers.setdefault((*told, votes.leader_wins_ties), len(numbers))
            if number == len(self._situations):
                self._situations.append(each)
            situations.append(number)
        return _Walk(tuple(situations), path.right, path.spent, path.end)

    def _played(self, policy: Policy, places: Iterable[int]) -> Mapping[int, tuple[float, float]]:
        parts = policy.policies if isinstance(policy, FirstToStop) else (policy,)
        first = self._grants.setdefault(parts[0], {})  # of what all candidates have in common
        grants: dict[int, int] = {}
        found = {}
        for place in places:
            loss, spent, walks = 0.0, 0, self._walks[place]
            for walk in walks:
                situations, end, knob = walk.situations, walk.end, 0
                while knob < end:
                    grant = grants.get(situations[knob])
                    if grant is None:
                        grant = grants[situations[knob]] = self._grant(situations[knob], parts, first)
                    if not grant:
                        break
                    knob += grant
                knob = min(knob, end)
                loss += walk.right[-1] - walk.right[knob]
                spent += walk.spent[knob]
            found[place] = (loss / len(walks), spent / len(walks))
        return found

    def _grant(self, situation: int, parts: Sequence[Policy], first: dict[int, int]) -> int:
        """What all parts together grant, as `FirstToStop` has it; more than remains below the cap does no harm."""
        told = self._situations[situation]
        if situation not in first:
            first[situation] = parts[0](told).knob
        return min(first[situation], *(part(told).knob for part in parts[1:])) if parts[1:] else first[situation]


def measured(candidate: Candidate, profiles: Sequence[ProblemProfile]) -> Measured:
    """Play a candidate on every path of every profile."""
    return Outcomes(profiles).measured(candidate, range(len(profiles)))


def _mean(figures: Sequence[float]) -> float:
    return sum(figures) / len(figures)
