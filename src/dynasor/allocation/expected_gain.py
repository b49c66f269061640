"""Stopping as a sequential decision: go on only while that is expected to be worth its price.

What it is worth was learned from problems whose right answers are known, and is kept as the states of the vote in
which to stop. Learning is not done here; neither is it known here what a branch costs.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

from dynasor.allocation.baselines import leads_for_good
from dynasor.allocation.hopeless import UNCERTAIN
from dynasor.allocation.progress import Grant, Progress, stop
from dynasor.answers.voting import Votes
from dynasor.errors import UsageError

LITTLE_TO_GAIN = "little to gain"


class State(NamedTuple):
    """All that is looked at of a vote. Given it, the order in which exchangeable branches came tells nothing more."""

    branches: int
    leader: int
    runner_up: int
    groups: int

    @classmethod
    def of(cls, votes: Votes) -> Self:
        """The state of a vote."""
        return cls(votes.cast, votes.leader, votes.runner_up, votes.groups)


@dataclass(frozen=True, slots=True)
class ExpectedGain:
    """Stop in the states in which going on was found not to be worth its price; go on in all others.

    The reason tells the certain from the hopeless: a leader without more than half of the votes is "uncertain".

    Attributes:
        asks: the numbers of branches at which it judges, ascending.
        stops: the states in which it stops. A state that nobody has met is none of them.
    """

    asks: tuple[int, ...]
    stops: frozenset[State]

    def __post_init__(self) -> None:
        """Refuse what is never judged."""
        if list(self.asks) != sorted({ask for ask in self.asks if ask > 0}):
            raise UsageError(f"asks are {list(self.asks)}; they must be ascending numbers of branches of at least 1")

    def __call__(self, progress: Progress) -> Grant:
        """Judge where it was learned, and nowhere else."""
        place = bisect_right(self.asks, progress.knob)
        judged = place > 0 and self.asks[place - 1] == progress.knob
        if judged and State.of(progress.votes) in self.stops:
            has_majority = 2 * progress.votes.leader > progress.votes.cast
            return stop(LITTLE_TO_GAIN if has_majority else UNCERTAIN)
        until = self.asks[place] if place < len(self.asks) else progress.cap
        return Grant(until - progress.knob)

    def table(self) -> dict[str, str]:
        """As text for a policy file: for each number of branches the states, as leader-runner up-groups."""
        lines: dict[str, list[str]] = {str(ask): [] for ask in self.asks}
        for state in sorted(self.stops, reverse=True):
            lines[str(state.branches)].append(f"{state.leader}-{state.runner_up}-{state.groups}")
        return {ask: " ".join(states) for ask, states in lines.items()}

    @classmethod
    def from_table(cls, table: Mapping[str, str]) -> Self:
        """The policy that wrote the table.

        Raises:
            UsageError: where it is not such a table.
        """
        return cls(tuple(sorted(map(_whole, table))), frozenset(_states(table)))


def _states(table: Mapping[str, str]) -> Iterable[State]:
    for ask, states in table.items():
        for state in states.split():
            parts = state.split("-")
            if len(parts) != 3:
                raise UsageError(f"'{state}' is no state of a vote; write leader-runner up-groups, such as 4-1-2")
            yield State(_whole(ask), *map(_whole, parts))


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise UsageError(f"'{text}' in a table of states is not a whole number")
    return int(text)


def gain_of_knowing(votes: Votes) -> float:
    """What knowing the shares of the top two answers would add to the share of the chosen one, in [0, 1/4].

    With a uniform prior the leader's share b of the votes for the top two has a Beta(v1 + 1, v2 + 1) posterior; to know
    it adds E[max(b, 1 - b)] - E[b] = E[max(0, 1 - 2b)]. The top two have (v1 + v2 + 2) / (n + groups) of all, by the
    mean of a uniform Dirichlet posterior: where answers are many and rare, little is to be gained. Where a model's
    answers are right as often as it gives them, this is the gain in accuracy.
    """
    leader, runner_up = votes.leader, votes.runner_up
    both = leader + runner_up + 2
    behind = 1 - leads_for_good(leader, runner_up)
    share_behind = (leader + 1) / both * (1 - leads_for_good(leader + 1, runner_up))  # E[b; b < 1/2]
    return both / max(both, votes.cast + max(votes.groups, 2)) * max(0.0, behind - 2 * share_behind)
