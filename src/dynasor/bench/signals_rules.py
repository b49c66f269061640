"""Signals as stopping rules: tokens for the accuracy of even allocation, end to end (paper 6.5, Fig. 13).

A rule stops a program at the detection step if its reading reaches a threshold, and else grants the cap. The threshold
is the one that saves most on one half of the questions while it loses there no more than the tolerance; it is used on
the other half, both ways. Beside the signals stand one smaller cap for everybody, chosen in the same way, and the
oracle, which stops where the vote first is right for good, and at once where it never will be.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dynasor.bench.resampling import Ratio, resampled_ratios
from dynasor.bench.signals_predictors import Fitted
from dynasor.bench.signals_programs import ENTROPY, Workload
from dynasor.calibration.profile import Path
from dynasor.metrics.intervals import Estimate

TOLERANCE = 0.005
NO_SIGNAL, ORACLE = "no signal: one cap", "oracle"
_SHARES = tuple(share / 10 for share in range(11))

Knobs = list[list[int]]
"""For each case, for each of its programs, the knob at which it was stopped."""


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One signal as a rule.

    Attributes:
        stopped: the share of programs stopped before the cap.
        saved: the share of even allocation's tokens.
        accuracy_difference: against even allocation, in shares of 1, paired.
        saved_less_entropy: the paired difference in `saved` to certaindex by entropy; None for that itself.
    """

    signal: str
    stopped: float
    tokens: Estimate
    saved: Estimate
    accuracy: Estimate
    accuracy_difference: Estimate
    saved_less_entropy: Estimate | None


class Point(NamedTuple):
    """A rule at one threshold, on questions that had no part in it."""

    tokens: float
    accuracy: float


class _Stop(NamedTuple):
    reading: float
    saved: int
    lost: float


def plain(readings: list[list[float]]) -> Fitted:
    """A signal that needs no fitting reads the same whoever asks."""
    return Fitted(readings, readings)


def judged_rules(workload: Workload, signals: Mapping[str, Fitted], tolerance: float = TOLERANCE) -> list[RuleRow]:
    """A row for each signal, after that of the smaller cap, before that of the oracle."""
    knobs = {NO_SIGNAL: _one_cap(workload, tolerance)}
    for name, fitted in signals.items():
        thresholds = {fold: _threshold(workload, fitted.calibrated, 1 - fold, tolerance) for fold in (0, 1)}
        knobs[name] = _stopped(workload, fitted.judged, thresholds)
    knobs[ORACLE] = [[p.path.needed or 1 for p in case.programs] for case in workload.cases]
    return _rows(workload, knobs)


def curve(workload: Workload, fitted: Fitted) -> list[Point]:
    """Tokens and accuracy as more programs are stopped; thresholds are quantiles of the other half's readings."""
    points = []
    for share in _SHARES:
        thresholds = {fold: _quantile(workload, fitted.calibrated, 1 - fold, share) for fold in (0, 1)}
        points.append(_point(workload, _stopped(workload, fitted.judged, thresholds)))
    return points


def even_curve(workload: Workload) -> list[Point]:
    """Even allocation at every cap."""
    return [_point(workload, [[cap] * workload.orders for _ in workload.cases]) for cap in range(1, workload.cap + 1)]


def _threshold(workload: Workload, readings: Sequence[Sequence[float]], fold: int, tolerance: float) -> float:
    """The reading from which on stopping saves most at no more than the tolerated loss; infinite where none is."""
    stops = sorted(
        (
            _stop(program.path, reading, workload.detect_at)
            for case, own in zip(workload.cases, readings, strict=True)
            if case.fold == fold
            for program, reading in zip(case.programs, own, strict=True)
        ),
        reverse=True,
    )
    best, threshold, saved, lost = 0, float("inf"), 0, 0.0
    for place, stop in enumerate(stops):
        saved, lost = saved + stop.saved, lost + stop.lost
        is_last_of_equals = place + 1 == len(stops) or stops[place + 1].reading != stop.reading
        if is_last_of_equals and lost <= tolerance * len(stops) and saved > best:
            best, threshold = saved, stop.reading
    return threshold


def _stop(path: Path, reading: float, detect_at: int) -> _Stop:
    saved = path.progress[-1].tokens - path.progress[detect_at].tokens
    return _Stop(reading, saved, path.right[-1] - path.right[detect_at])


def _quantile(workload: Workload, readings: Sequence[Sequence[float]], fold: int, share: float) -> float:
    """The reading that so many of a half's programs reach."""
    own = [value for case, row in zip(workload.cases, readings, strict=True) if case.fold == fold for value in row]
    count = round(share * len(own))
    return sorted(own, reverse=True)[count - 1] if count else float("inf")


def _one_cap(workload: Workload, tolerance: float) -> Knobs:
    """For each half the smallest cap that loses no more than is tolerated on the other."""
    caps = {}
    for fold in (0, 1):
        paths = [program.path for case in workload.cases if case.fold != fold for program in case.programs]
        even = sum(path.right[-1] for path in paths)
        enough = (k for k in range(1, workload.cap) if even - sum(p.right[k] for p in paths) <= tolerance * len(paths))
        caps[fold] = next(enough, workload.cap)
    return [[caps[case.fold]] * workload.orders for case in workload.cases]


def _stopped(workload: Workload, readings: Sequence[Sequence[float]], thresholds: Mapping[int, float]) -> Knobs:
    return [
        [workload.detect_at if value >= thresholds[case.fold] else workload.cap for value in own]
        for case, own in zip(workload.cases, readings, strict=True)
    ]


def _point(workload: Workload, knobs: Knobs) -> Point:
    columns = _columns(workload, knobs)
    count = sum(columns.ones)
    return Point(sum(columns.tokens) / count, sum(columns.right) / count)


class _Columns(NamedTuple):
    """One entry for each question, summed over its programs."""

    ones: list[float]
    tokens: list[float]
    right: list[float]


def _columns(workload: Workload, knobs: Knobs) -> _Columns:
    sums: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for case, own in zip(workload.cases, knobs, strict=True):
        entry = sums[case.unit]
        for program, knob in zip(case.programs, own, strict=True):
            entry[0] += 1.0
            entry[1] += program.path.progress[knob].tokens
            entry[2] += program.path.right[knob]
    return _Columns(*(list(column) for column in zip(*sums.values(), strict=True)))


def _rows(workload: Workload, knobs: Mapping[str, Knobs]) -> list[RuleRow]:
    even = _columns(workload, [[workload.cap] * workload.orders for _ in workload.cases])
    columns = {name: _columns(workload, stops) for name, stops in knobs.items()}
    ratios: dict[tuple[str, str], Ratio] = {}
    for name, own in columns.items():
        ratios[name, "tokens"] = (own.tokens, own.ones)
        ratios[name, "accuracy"] = (own.right, own.ones)
        ratios[name, "saved"] = (_less(even.tokens, own.tokens), even.tokens)
        ratios[name, "difference"] = (_less(own.right, even.right), own.ones)
        ratios[name, "against"] = (_less(columns[ENTROPY].tokens, own.tokens), even.tokens)
    found = resampled_ratios(ratios)
    total = len(workload.cases) * workload.orders
    return [
        RuleRow(
            signal=name,
            stopped=sum(knob < workload.cap for own in knobs[name] for knob in own) / total,
            tokens=found[name, "tokens"],
            saved=found[name, "saved"],
            accuracy=found[name, "accuracy"],
            accuracy_difference=found[name, "difference"],
            saved_less_entropy=None if name == ENTROPY else found[name, "against"],
        )
        for name in knobs
    ]


def _less(these: Sequence[float], those: Sequence[float]) -> list[float]:
    return [this - that for this, that in zip(these, those, strict=True)]
