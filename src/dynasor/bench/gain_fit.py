"""Which states of a vote to stop in, learned from problems whose right answers are known.

Backward induction over recorded walks, from the cap down: at each number of branches a walk's net gain of going on is
what its answer will be worth where the later decisions stop it, less what it is worth now, less the price of the
branches between. Its mean over the problems that met a state is shrunk towards that of coarser states, and in the end
towards what a Bayesian model expects without labels. A state is a stop only where the mean plus some standard errors
is not above zero: a state that few problems met is one to go on from. Problems are the independent units, not walks.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from dynasor.allocation.baselines import leads_for_good
from dynasor.allocation.expected_gain import ExpectedGain, State, gain_of_knowing
from dynasor.answers.grouping import ByText
from dynasor.answers.voting import Ballot, Votes
from dynasor.datasets.problem import Recording, judge
from dynasor.engines.recorded import RecordedEngine


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


def walks_of(recordings: Iterable[Recording], asks: Sequence[int], cap: int, orders: int) -> Iterator[Walk]:
    """Walks under the seeded orders that policies are compared under."""
    recordings = list(recordings)
    samples = {recording.problem.id: recording.samples for recording in recordings}
    engines = [RecordedEngine(samples, seed=seed) for seed in range(orders)]
    for recording in recordings:
        for engine in engines:
            yield _walk(recording, engine.order(recording.problem.id)[:cap], asks)


def _walk(recording: Recording, order: Sequence[int], asks: Sequence[int]) -> Walk:
    problem, ballot, states, right = recording.problem, Ballot(ByText()), [], []
    for branch, place in enumerate(order):
        ballot.cast(branch, recording.samples[place].answer)
        if branch + 1 in asks:
            states.append(State.of(ballot.votes()))
            right.append(judge(problem, ballot.majority) or 0.0)
    return Walk(problem.id, tuple(states), (*right, judge(problem, ballot.majority) or 0.0))


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
    coarse = _coarser(met, lambda state: state._replace(groups=0))
    for state, nets in met.items():
        prior = _unseen(state, cost)
        parent = believed(coarse[state._replace(groups=0)], prior, caution.weight)
        found = believed(nets, Believed(parent.mean, prior.error), caution.weight)
        if found.mean + caution.errors * found.error <= 0:
            yield state


def _coarser(met: Mapping[State, Nets], coarsen: Callable[[State], State]) -> Mapping[State, Nets]:
    coarse: defaultdict[State, list[tuple[str, float]]] = defaultdict(list)
    for state, nets in met.items():
        coarse[coarsen(state)].extend(nets)
    return coarse


def _unseen(state: State, cost: float) -> Believed:
    """The net gain expected without a label, and how much one problem's may differ from it.

    A leader who does not lead for good may turn a wrong answer right, or a right one wrong.
    """
    gain = gain_of_knowing(Votes(state.branches, state.leader, state.runner_up, state.groups))
    return Believed(gain - cost, sqrt(1 - leads_for_good(state.leader, state.runner_up)))


def believed(nets: Nets, prior: Believed, weight: float) -> Believed:
    """The mean over problems, with a prior that counts for `weight` of them; each weighs what it has of the walks.

    `prior.error` is the deviation of a single problem's gain. With shares w of the walks there are 1 / sum(w^2)
    problems in effect (Kish).
    """
    gathered: defaultdict[str, list[float]] = defaultdict(list)
    for problem, net in nets:
        gathered[problem].append(net)
    means = [(len(own) / len(nets), sum(own) / len(own)) for own in gathered.values()]
    count = 1 / sum(share * share for share, _ in means)
    mean = sum(share * own for share, own in means)
    squares = sum(share * (own - mean) ** 2 for share, own in means)
    total = count + weight
    return Believed(
        (count * mean + weight * prior.mean) / total,
        sqrt(count * squares + weight * prior.error**2) / total,
    )
