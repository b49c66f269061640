"""Walks of policies over recorded samples, fast: a policy is asked once for every state that paths have in common.

Profiles are made by the program itself, branch by branch. Of many thousand paths most pass through the same few votes,
so what a policy grants there is kept, and a walk is a chain of look-ups. It does not know what is compared.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import NamedTuple

from dynasor.allocation.allocator import bounded
from dynasor.allocation.baselines import Length
from dynasor.allocation.compose import FirstToStop
from dynasor.allocation.progress import Policy, Progress
from dynasor.answers.grouping import ByText
from dynasor.answers.voting import Votes
from dynasor.bench.replays import oracle_branches
from dynasor.calibration.candidates import Candidate, Measured
from dynasor.calibration.profile import Path, ProblemProfile, profiled
from dynasor.datasets.problem import Recording
from dynasor.engines.recorded import RecordedEngine
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency

UNASKED = -1


class _State(NamedTuple):
    """All that most policies look at."""

    knob: int
    certaindex: float
    votes: Votes


class Decisions:
    """What policies grant in the states of one workload at one cap; asked for once, when first needed."""

    def __init__(self) -> None:
        self._numbers: dict[_State, int] = {}
        self._states: list[Progress] = []
        self._grants: dict[Policy, array[int]] = {}
        self._turned_to: Policy | None = None  # many paths are walked by one policy, and then by the next
        self._counting = False
        self._asked: list[tuple[Policy, array[int]]] = []

    def number(self, progress: Progress) -> int:
        """The number of the state that this is in."""
        state = _State(progress.knob, progress.certaindex, progress.votes)
        found = self._numbers.setdefault(state, len(self._states))
        if found == len(self._states):
            self._states.append(progress)
        return found

    def counts_tokens(self, policy: Policy) -> bool:
        """Turn to a policy, and tell whether it looks at more than the state."""
        if policy is not self._turned_to:
            self._turned_to = policy
            self._asked = [(single, self._granted(single)) for single in _singles(policy)]
            self._counting = any(isinstance(single, Length) for single, _ in self._asked)
        return self._counting

    def walked(self, states: Sequence[int]) -> int:
        """The knob at which that policy ends a program that passes through these states, one for each knob from 0."""
        asked, knob = self._asked, 0
        while True:
            state, least = states[knob], len(states)
            for single, grants in asked:
                grant = grants[state]
                if grant == UNASKED:
                    grant = grants[state] = bounded(single, self._states[state]).knob
                if grant < least:
                    least = grant
            if not least:
                return knob
            knob += least

    def _granted(self, policy: Policy) -> "array[int]":
        grants = self._grants.get(policy)
        if grants is None:
            grants = self._grants[policy] = array("h", [UNASKED]) * len(self._states)
        return grants


def _singles(policy: Policy) -> Iterator[Policy]:
    """The policies that one is joined of: the least of what they grant is granted."""
    if isinstance(policy, FirstToStop):
        for part in policy.policies:
            yield from _singles(part)
    else:
        yield policy


@dataclass(frozen=True, slots=True)
class KnownPath(Path):
    """A path whose states are known by number.

    Attributes:
        answers: of its branches, in the order of landing.
        states: their numbers, one for each knob from 0 to the cap.
        oracle: the fewest branches from which on the leading answer is the final one.
    """

    answers: tuple[str | None, ...] = ()
    states: tuple[int, ...] = ()
    oracle: int = 1
    decisions: Decisions = field(default_factory=Decisions, compare=False, repr=False)

    def stopped_at(self, policy: Policy) -> int:
        """The knob at which a policy ends the program; grants are waited for."""
        if self.decisions.counts_tokens(policy):  # which paths do not have in common
            return Path.stopped_at(self, policy)
        return self.decisions.walked(self.states)

    def tokens(self, knob: int) -> int:
        """Generated up to there."""
        return self.spent[knob]


@dataclass(frozen=True, slots=True)
class Replay(ProblemProfile):
    """One problem under several orders of its branches."""

    paths: tuple[KnownPath, ...]


def replays_of(recordings: Sequence[Recording], cap: int, orders: int) -> list[Replay]:
    """The replays of those recordings that have as many samples as the cap.

    Raises:
        UsageError: where a problem has no right answer, or none has enough samples.
    """
    enough = [recording for recording in recordings if len(recording.samples) >= cap]
    profiles = profiled(enough, SelfConsistency, Setup(cap=cap, grouping=ByText), orders=orders)
    decisions = Decisions()
    return [
        Replay(profile.id, tuple(map(_known, profile.paths, _answers(recording, cap, orders), repeat(decisions))))
        for profile, recording in zip(profiles, enough, strict=True)
    ]


def measured(candidate: Candidate, replays: Iterable[Replay]) -> Measured:
    """What a candidate comes to on these problems, whatever it looks at: streaks and tokens too."""
    figures = [_means(candidate.policy, replay) for replay in replays]
    losses, spent, even = zip(*figures, strict=True) if figures else ((), (), ())
    return Measured(candidate, losses, spent, even)


def _means(policy: Policy, replay: Replay) -> tuple[float, float, float]:
    loss, spent, even = 0.0, 0, 0
    for path in replay.paths:
        knob = path.stopped_at(policy)
        loss += path.right[-1] - path.right[knob]
        spent += path.spent[knob]
        even += path.spent[-1]
    count = len(replay.paths)
    return loss / count, spent / count, even / count


def shortened(replays: Iterable[Replay], cap: int) -> list[Replay]:
    """The same programs at a smaller cap."""
    decisions = Decisions()
    return [
        Replay(replay.id, tuple(_known(_cut(path, cap), path.answers[:cap], decisions) for path in replay.paths))
        for replay in replays
    ]


def _cut(path: Path, cap: int) -> Path:
    progress = tuple(Progress(p.knob, cap, p.certaindex, p.tokens, p.votes) for p in path.progress[: cap + 1])
    return Path(progress, path.right[: cap + 1])


def _known(path: Path, answers: tuple[str | None, ...], decisions: Decisions) -> KnownPath:
    return KnownPath(
        path.progress,
        path.right,
        answers=answers,
        states=tuple(map(decisions.number, path.progress)),
        oracle=oracle_branches(answers),
        decisions=decisions,
    )


def _answers(recording: Recording, cap: int, orders: int) -> Iterator[tuple[str | None, ...]]:
    """In the orders of the profiles."""
    samples = {recording.problem.id: recording.samples}
    for seed in range(orders):
        order = RecordedEngine(samples, seed=seed).order(recording.problem.id)[:cap]
        yield tuple(recording.samples[place].answer for place in order)
