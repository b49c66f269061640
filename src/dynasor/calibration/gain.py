"""Which states of a vote to stop in, learned from problems whose right answers are known.

Backward induction over recorded walks, from the cap down: at each number of branches a walk's net gain of going on is
what its answer will be worth where the later decisions stop it, less what it is worth now, less the price of the
branches between. Its mean over the problems that met a state is shrunk towards that of coarser states, and in the end
towards what a Bayesian model expects without labels. A state is a stop only where the mean plus some standard errors
is not above zero: a state that few problems met is one to go on from. Problems are the independent units, not walks.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import NamedTuple

from dynasor.allocation.baselines import leads_for_good
from dynasor.allocation.expected_gain import ExpectedGain, State, gain_of_knowing
from dynasor.answers.voting import Votes


@dataclass(frozen=True, slots=True)
class Caution:
    """How little is believed of few problems.

    Attributes:
        weight: how many problems the expectation of a coarser state counts for.
        errors: how many standard errors the gain of going on must stay below its price.
    """

    weight: float = 16.0
    errors: float = 0.25


@dataclass(frozen=True, slots=True)
class Walk:
    """One program under one order of its samples, looked at where the policy will be asked.

    Attributes:
        states: at each ask.
        right: how right the majority is at each ask and, last, at the cap; in [0, 1].
    """

    problem: str
    states: tuple[State, ...]
    right: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Believed:
    """A mean over problems, and its standard error."""

    mean: float
    error: float


Nets = Sequence[tuple[str, float]]
"""(problem, net gain) of walks."""


def asks_below(cap: int, first: int = 3) -> tuple[int, ...]:
    """Where to ask: often at first, then every quarter more, so that rounds and states stay few."""
    asks = []
    while first < cap:
        asks.append(first)
        first += max(1, first // 4)
    return tuple(asks)


def fit(walks: Sequence[Walk], asks: Sequence[int], cap: int, *, price: float, caution: Caution) -> ExpectedGain:
    """The policy for a price of a branch, in accuracy: 0.001 says that ten branches are worth one point."""
    stops: set[State] = set()
    worth = [walk.right[-1] for walk in walks]
    for place in reversed(range(len(asks))):
        until = asks[place + 1] if place + 1 < len(asks) else cap
        cost = price * (until - asks[place])
        met: defaultdict[State, list[tuple[str, float]]] = defaultdict(list)
        for walk, ahead in zip(walks, worth, strict=True):
            met[walk.states[place]].append((walk.problem, ahead - cost - walk.right[place]))
        stops.update(_stops(met, cost, caution))
        worth = [
            walk.right[place] if walk.states[place] in stops else ahead - cost
            for walk, ahead in zip(walks, worth, strict=True)
        ]
    return ExpectedGain(tuple(asks), frozenset(stops))


def _stops(met: Mapping[State, Nets], cost: float, caution: Caution) -> Iterator[State]:
    """The states, among those of one number of branches, in which going on is not worth it."""
    coarse = {state: _seen(nets) for state, nets in _coarser(met, lambda state: state._replace(groups=0)).items()}
    for state, nets in met.items():
        prior = _unseen(state, cost)
        parent = _shrunk(coarse[state._replace(groups=0)], prior, caution.weight)
        found = _shrunk(_seen(nets), Believed(parent.mean, prior.error), caution.weight)
        if found.mean + caution.errors * found.error <= 0:
            yield state


def _coarser(met: Mapping[State, Nets], coarsen: Callable[[State], State]) -> Mapping[State, Nets]:
    coarse: defaultdict[State, list[tuple[str, float]]] = defaultdict(list)
    for state, nets in met.items():
        coarse[coarsen(state)].extend(nets)
    return coarse


def _unseen(state: State, cost: float) -> Believed:
    """The net gain expected without a label, and how much one problem's may differ from it."""
    gain, deviation = _unlabelled(state)
    return Believed(gain - cost, deviation)


@lru_cache(maxsize=1 << 16)
def _unlabelled(state: State) -> tuple[float, float]:
    """A leader who does not lead for good may turn a wrong answer right, or a right one wrong."""
    gain = gain_of_knowing(Votes(state.branches, state.leader, state.runner_up, state.groups))
    return gain, sqrt(1 - leads_for_good(state.leader, state.runner_up))


def believed(nets: Nets, prior: Believed, weight: float) -> Believed:
    """The mean over problems, with a prior that counts for `weight` of them; each weighs what it has of the walks.

    `prior.error` is the deviation of a single problem's gain. With shares w of the walks there are 1 / sum(w^2)
    problems in effect (Kish).
    """
    return _shrunk(_seen(nets), prior, weight)


class _Seen(NamedTuple):
    """Of nets: problems in effect, and the mean and the variance over them."""

    problems: float
    mean: float
    squares: float


def _seen(nets: Nets) -> _Seen:
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    for problem, net in nets:
        sums[problem] = sums.get(problem, 0.0) + net
        counts[problem] = counts.get(problem, 0) + 1
    walks = len(nets)
    mean = sum(sums.values()) / walks
    squares = sum(count / walks * (sums[problem] / count - mean) ** 2 for problem, count in counts.items())
    return _Seen(walks * walks / sum(count * count for count in counts.values()), mean, squares)


def _shrunk(seen: _Seen, prior: Believed, weight: float) -> Believed:
    total = seen.problems + weight
    return Believed(
        (seen.problems * seen.mean + weight * prior.mean) / total,
        sqrt(seen.problems * seen.squares + weight * prior.error**2) / total,
    )
