"""Points of curves as rows of a table: with intervals, and against self-consistency that takes as many tokens.

Problems are the independent units. Every draw of problems takes the tokens and the accuracies of all points anew: the
curve of self-consistency, the place on it where it takes as many tokens as the point, and the difference there.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from operator import attrgetter, itemgetter
from random import Random
from statistics import fmean

import msgspec

from dynasor.bench.algorithm_arms import SC
from dynasor.bench.algorithm_points import Point
from dynasor.metrics.intervals import Estimate, wilson

DRAWS = 1000


class AlgorithmRow(msgspec.Struct, frozen=True, kw_only=True):
    """One algorithm at one cap on one engine.

    Attributes:
        arm: the run that it is read from.
        accuracy: with Wilson's interval; all others are by bootstrap over problems.
        tokens: generated tokens a problem.
        knob, certaindex: means over the problems.
        latency_s: mean seconds from a program's start to its answer, beside others; None for a part of a longer run.
        gained: accuracy less that of self-consistency at as many tokens; None where no cap of it takes as many or as
            few, and for self-consistency itself.
    """

    engine: str
    curve: str
    cap: int
    arm: str
    problems: int
    accuracy: Estimate
    tokens: Estimate
    knob: float
    certaindex: float
    latency_s: float | None
    gained: Estimate | None


Place = tuple[float, float]
"""Tokens a problem, and accuracy."""


def algorithm_rows(engine: str, points: Sequence[Point], *, draws: int = DRAWS, seed: int = 0) -> list[AlgorithmRow]:
    """A row for each point; all are over the same problems."""
    drawn = [list(_drawn(point, draws, Random(seed))) for point in points]
    reference = [place for place, point in enumerate(points) if point.curve == SC]
    return [_row(engine, point, drawn[own], _gained(points, drawn, own, reference)) for own, point in enumerate(points)]


def at_tokens(curve: Sequence[Place], tokens: float) -> float | None:
    """The accuracy of a curve where it takes so many tokens, in a straight line between its points; None outside."""
    ordered = sorted(curve)
    after = bisect_left(ordered, tokens, key=itemgetter(0))
    if after == len(ordered) or (after == 0 and ordered[0][0] > tokens):
        return None
    if ordered[after][0] == tokens:
        return ordered[after][1]
    (fewer, low), (more, high) = ordered[after - 1 : after + 1]
    return low + (high - low) * (tokens - fewer) / (more - fewer)


def _drawn(point: Point, draws: int, random: Random) -> Iterator[Place]:
    """The point itself, then the same of so many draws of problems: the same draws for all points of one seed."""
    solved = [point.solved[id] for id in sorted(point.solved)]
    tokens, correct = [one.tokens for one in solved], [one.correct for one in solved]
    yield fmean(tokens), fmean(correct)
    count = len(solved)
    if count < 2:
        return
    for _ in range(draws):
        chosen = itemgetter(*random.choices(range(count), k=count))
        yield sum(chosen(tokens)) / count, sum(chosen(correct)) / count


def _gained(
    points: Sequence[Point], drawn: Sequence[Sequence[Place]], own: int, reference: Sequence[int]
) -> Estimate | None:
    if points[own].curve == SC:
        return None
    differences = []
    for draw, (tokens, accuracy) in enumerate(drawn[own]):
        base = at_tokens([drawn[place][draw] for place in reference], tokens)
        if base is None and draw == 0:
            return None
        if base is not None:
            differences.append(accuracy - base)
    return _estimate(differences)


def _row(engine: str, point: Point, drawn: Sequence[Place], gained: Estimate | None) -> AlgorithmRow:
    solved = list(point.solved.values())
    latencies = [one.latency_s for one in solved if one.latency_s is not None]
    return AlgorithmRow(
        engine=engine,
        curve=point.curve,
        cap=point.cap,
        arm=point.arm,
        problems=len(solved),
        accuracy=wilson(sum(map(attrgetter("correct"), solved)), len(solved)),
        tokens=_estimate([tokens for tokens, _ in drawn]),
        knob=fmean(map(attrgetter("knob"), solved)),
        certaindex=fmean(map(attrgetter("certaindex"), solved)),
        latency_s=fmean(latencies) if len(latencies) == len(solved) else None,
        gained=gained,
    )


def _estimate(figures: Sequence[float]) -> Estimate:
    """The first is the figure itself, the others are those of the draws."""
    value, *others = figures
    others = sorted(others) or [value]
    return Estimate(value, others[int(0.025 * len(others))], others[max(0, int(0.975 * len(others)) - 1)])
