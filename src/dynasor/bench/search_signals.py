"""Certaindex by entropy, by reward and by both, on recorded paths: does it tell whether the answer is right?

It reads the first paths of every problem, once, and holds every reading against the plain vote of the same paths: by
rank correlation, and by Table 1's thresholds (paper 3.1, 6.1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum, hypot, nan
from random import Random
from statistics import fmean

from dynasor.answers.grouping import ByText
from dynasor.answers.voting import Ballot
from dynasor.bench.resampling import DRAWS
from dynasor.bench.search_choices import FOUND, SAMPLES, counts_of, in_orders
from dynasor.certaindex.combined import Combined, Part
from dynasor.certaindex.reward import by_max_reward, by_mean_reward
from dynasor.certaindex.signal import Evidence, Signal, by_entropy
from dynasor.datasets.problem import judge
from dynasor.datasets.search_traces import RecordedPath, SearchRecording, SearchTrace
from dynasor.metrics.intervals import Estimate

_MEAN = Combined((Part(by_entropy, 0.99), Part(by_mean_reward, 0.4)), threshold=0.7)
_BEST = Combined((Part(by_entropy, 0.85), Part(by_max_reward, 0.99)), threshold=0.7)

SIGNALS: Mapping[str, tuple[Signal, float]] = {
    "entropy": (by_entropy, 0.7),
    "mean reward": (by_mean_reward, 0.4),
    "best reward": (by_max_reward, 0.99),
    "entropy 0.99 and mean reward 0.4": (_MEAN, 0.7),
    "entropy 0.85 and best reward 0.99": (_BEST, 0.7),
}
"""By name, with the threshold of Table 1: SC, MCTS alone (ASDiv), Rebase's reward, MCTS and Rebase on GSM8K."""


@dataclass(frozen=True, slots=True)
class SignalRow:
    """One signal over some paths of every problem.

    Attributes:
        correlation: Spearman's, of the reading with how right the plain vote of the same paths is.
        certain: the share of problems whose reading reaches the threshold.
        right_if_certain, right_if_not: the accuracy among these, and among the others; nan where there is none.
    """

    paths: str
    count: int
    signal: str
    threshold: float
    problems: int
    correlation: Estimate
    certain: float
    right_if_certain: float
    right_if_not: float


def study_signals(trace: SearchTrace) -> list[SignalRow]:
    """Every signal on every number of paths from two on."""
    recordings = trace.recordings
    drawn = [in_orders(recording, 1)[0] for recording in recordings]
    rows: list[SignalRow] = []
    for count in counts_of(trace):
        rows += _rows(recordings, [order[:count] for order in drawn], SAMPLES)
    return rows + _rows(recordings, [recording.found for recording in recordings], FOUND)


def evidence_of(paths: Sequence[RecordedPath]) -> Evidence:
    """What a program has seen once these have landed; a path's terminal reward is its last step's."""
    ballot = Ballot(ByText())
    for place, path in enumerate(paths):
        ballot.cast(place, path.answer)
    rewards = [path.rewards[-1] for path in paths]
    return Evidence(
        ballot, len(paths), reward_sum=fsum(rewards), reward_count=len(rewards), reward_max=max(rewards, default=0.0)
    )


def rank_correlation(x: Sequence[float], y: Sequence[float], draws: int = DRAWS) -> Estimate:
    """Spearman's, with the percentile interval over draws of pairs, which keep their ranks; nan without variance."""
    pairs = list(zip(_ranks(x), _ranks(y), strict=True))
    random = Random(0)
    drawn = sorted(r for _ in range(draws) if (r := _pearson(random.choices(pairs, k=len(pairs)))) == r)
    value = _pearson(pairs)
    if not drawn or value != value:
        return Estimate(value, nan, nan)
    return Estimate(value, drawn[int(0.025 * len(drawn))], drawn[max(0, int(0.975 * len(drawn)) - 1)])


def _rows(
    recordings: Sequence[SearchRecording], drawn: Sequence[Sequence[RecordedPath]], whose: str
) -> list[SignalRow]:
    count = max(len(paths) for paths in drawn)
    if count < 2:
        return []
    evidence = [evidence_of(paths) for paths in drawn]
    right = [judge(each.problem, seen.ballot.majority) or 0.0 for each, seen in zip(recordings, evidence, strict=True)]
    rows = []
    for name, (signal, threshold) in SIGNALS.items():
        readings = [signal(seen) for seen in evidence]
        sure = [mark for mark, reading in zip(right, readings, strict=True) if reading >= threshold]
        unsure = [mark for mark, reading in zip(right, readings, strict=True) if reading < threshold]
        correlation = rank_correlation(readings, right)
        share = len(sure) / len(right)
        rows.append(
            SignalRow(whose, count, name, threshold, len(right), correlation, share, _mean(sure), _mean(unsure))
        )
    return rows


def _mean(marks: Sequence[float]) -> float:
    return fmean(marks) if marks else nan


def _ranks(values: Sequence[float]) -> list[float]:
    """From 0; equals share the mean of their places."""
    places: dict[float, list[int]] = {}
    for place, value in enumerate(sorted(values)):
        places.setdefault(value, []).append(place)
    return [fmean((places[value][0], places[value][-1])) for value in values]


def _pearson(pairs: Sequence[tuple[float, float]]) -> float:
    mean_x, mean_y = fmean(x for x, _ in pairs), fmean(y for _, y in pairs)
    dx, dy = [x - mean_x for x, _ in pairs], [y - mean_y for _, y in pairs]
    scale = hypot(*dx) * hypot(*dy)
    return sum(map(float.__mul__, dx, dy)) / scale if scale else nan
