"""Recorded samples as the walks that stopping by expected gain is learned from (see `calibration.gain`)."""

from collections.abc import Iterable, Iterator, Sequence

from dynasor.allocation.expected_gain import State
from dynasor.answers.grouping import ByText
from dynasor.answers.voting import Ballot
from dynasor.calibration.gain import Believed, Caution, Walk, asks_below, believed, fit
from dynasor.datasets.problem import Recording, judge
from dynasor.engines.recorded import RecordedEngine

__all__ = ["Believed", "Caution", "Walk", "asks_below", "believed", "fit", "walks_of"]


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
