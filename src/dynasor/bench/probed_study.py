"""Probed chains of thought on recordings: what cutting saves beyond guiding, and at what accuracy (paper 6.7).

Two questions. Where every chain may run to its end: what does the cut rule save, and lose? And, as the paper asks:
where tokens are limited, how few does each way take to be as accurate as whole chains are? Problems are the units.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import isclose

from dynasor.bench.probed_replays import Reached, Way, follow, limited
from dynasor.bench.resampling import resampled_ratios
from dynasor.datasets.probed_traces import ProbedRecording, ProbedTrace
from dynasor.datasets.problem import judge
from dynasor.metrics.intervals import Estimate

WINDOWS = (2, 3, 5, 8)
EVERY = (1, 2, 3)
SURE = 0.5
TOLERANCES = (0.0, 0.01)
"""By how much less than that of whole chains an accuracy may be, in shares of 1."""

_LIMITS = 20
PLAIN = Way("plain")


@dataclass(frozen=True, slots=True)
class ProbedRow:
    """One way on one trace; figures are means over chains, intervals are over problems.

    Attributes:
        budget: the most tokens of a chain; None: no limit.
        tolerance: for which target the budget was chosen; None where there was none.
        cut: the share of chains that were cut.
        saved: the share of the guided tokens that it did not take, of the same probes.
        saved_plain: the same of the plain tokens.
        difference: accuracy against guided.
    """

    way: Way
    problems: int
    chains: int
    probe_tokens: int
    accuracy: Estimate
    tokens: Estimate
    saved: Estimate
    saved_plain: Estimate
    difference: Estimate
    cut: float
    budget: int | None = None
    tolerance: float | None = None


@dataclass(frozen=True, slots=True)
class _Columns:
    """Per problem, summed over its chains."""

    right: list[float]
    tokens: list[float]
    cut: float

    @property
    def total(self) -> float:
        return sum(self.right)


def study_probed(trace: ProbedTrace, probe_tokens: int) -> list[ProbedRow]:
    """Every way, without a limit and then with the one that just suffices.

    Args:
        trace: the recorded chains.
        probe_tokens: what a probe costs where the recording does not hold it.
    """
    cost = 0 if trace.is_stepwise else probe_tokens
    return [*_whole(trace.recordings, cost), *_just_enough(trace.recordings, cost)]


def _families(recordings: Sequence[ProbedRecording], every: Iterable[int]) -> Iterator[tuple[Way, list[Way]]]:
    """Guided, and what cuts by the same probes, with windows that the recording is long enough for."""
    chains = [chain for recording in recordings for chain in recording.chains]
    most = max(len(chain.probes) for chain in chains)
    unsure = any(probe.mass < SURE for chain in chains for probe in chain.probes)
    for least_mass in (0.0, SURE) if unsure else (0.0,):
        for step in every:
            guided = Way("guided", step, least_mass=least_mass)
            yield guided, [Way("cut", step, window, least_mass) for window in WINDOWS if window * step <= most]


def _whole(recordings: Sequence[ProbedRecording], cost: int) -> Iterator[ProbedRow]:
    plain = _columns(recordings, PLAIN, cost)
    row = partial(_row, recordings, cost, plain=plain)
    yield row(PLAIN, plain, guided=plain)
    for guided_way, ways in _families(recordings, EVERY):
        guided = _columns(recordings, guided_way, cost)
        yield row(guided_way, guided, guided=guided)
        yield from (row(way, _columns(recordings, way, cost), guided=guided) for way in ways)


def _just_enough(recordings: Sequence[ProbedRecording], cost: int) -> Iterator[ProbedRow]:
    """For each tolerance the smallest budget with which a way is accurate enough; a way that never is has no row."""
    longest = max(chain.tokens for recording in recordings for chain in recording.chains)
    budgets = [-(-longest * part // _LIMITS) for part in range(1, _LIMITS + 1)]
    count = sum(len(recording.chains) for recording in recordings)
    whole = _columns(recordings, PLAIN, cost).total
    curve = {way: [_columns(recordings, way, cost, b) for b in budgets] for way in _limited_ways(recordings)}
    for tolerance in TOLERANCES:
        reached = {way: _first(points, whole - tolerance * count) for way, points in curve.items()}
        enough = {way: place for way, place in reached.items() if place is not None}
        plain = curve[PLAIN][enough[PLAIN]]  # whole chains, plain or guided, suffice at the last limit
        for way, place in enough.items():
            family = Way("guided", least_mass=way.least_mass)
            guided = curve[family][enough[family]]
            limit = (budgets[place], tolerance)
            yield _row(recordings, cost, way, curve[way][place], plain=plain, guided=guided, limit=limit)


def _limited_ways(recordings: Sequence[ProbedRecording]) -> list[Way]:
    return [PLAIN, *(way for guided, ways in _families(recordings, (1,)) for way in (guided, *ways))]


def _first(points: Sequence[_Columns], target: float) -> int | None:
    """The place of the first that is right often enough."""
    reached = (n for n, point in enumerate(points) if point.total >= target or isclose(point.total, target))
    return next(reached, None)


def _columns(recordings: Sequence[ProbedRecording], way: Way, cost: int, budget: int | None = None) -> _Columns:
    right, tokens, cut = [], [], 0
    for recording in recordings:
        chains = recording.chains if budget is None else [limited(chain, budget) for chain in recording.chains]
        reached: list[Reached] = [follow(chain, way, cost) for chain in chains]
        right.append(sum(judge(recording.problem, each.answer) or 0.0 for each in reached))
        tokens.append(float(sum(each.tokens for each in reached)))
        cut += sum(each.cut for each in reached)
    return _Columns(right, tokens, cut / sum(len(recording.chains) for recording in recordings))


def _row(
    recordings: Sequence[ProbedRecording],
    cost: int,
    way: Way,
    own: _Columns,
    *,
    plain: _Columns,
    guided: _Columns,
    limit: tuple[int | None, float | None] = (None, None),
) -> ProbedRow:
    counts = [float(len(recording.chains)) for recording in recordings]
    figures = resampled_ratios(
        {
            "accuracy": (own.right, counts),
            "tokens": (own.tokens, counts),
            "guided": (own.tokens, guided.tokens),
            "plain": (own.tokens, plain.tokens),
            "difference": ([a - b for a, b in zip(own.right, guided.right, strict=True)], counts),
        }
    )
    return ProbedRow(
        way=way,
        problems=len(recordings),
        chains=int(sum(counts)),
        probe_tokens=cost,
        accuracy=figures["accuracy"],
        tokens=figures["tokens"],
        saved=_rest(figures["guided"]),
        saved_plain=_rest(figures["plain"]),
        difference=figures["difference"],
        cut=own.cut,
        budget=limit[0],
        tolerance=limit[1],
    )


def _rest(share: Estimate) -> Estimate:
    return Estimate(1 - share.value, 1 - share.high, 1 - share.low)
