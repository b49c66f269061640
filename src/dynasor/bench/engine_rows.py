"""What the comparison of engines found, as rows: from single trials to medians and extremes. Computes; runs nothing."""

from collections.abc import Mapping, Sequence
from math import ceil
from statistics import median

import msgspec

from dynasor.bench.engine_cancel import AbandonTrial, CancelTrial

TARGET_S = 0.05
"""Within this time, a cancelled stream should have given up its slot."""


class Range(msgspec.Struct, frozen=True):
    """A median over repeats, with the least and the most."""

    median: float
    least: float
    most: float


class Delay(msgspec.Struct, frozen=True):
    """Milliseconds over trials; the percentile is that of the nearest rank."""

    median_ms: float
    p95_ms: float
    most_ms: float


class SpeedRow(msgspec.Struct, frozen=True, tag_field="measure", tag="speed"):
    """Tokens a second at one concurrency; `repeats` in the order in which they were measured."""

    engine: str
    concurrency: int
    tokens_per_s: Range
    repeats: Sequence[float]


class RatioRow(msgspec.Struct, frozen=True, tag_field="measure", tag="ratio"):
    """How many times as many tokens a second one engine gives as another, repeat by repeat."""

    engine: str
    over: str
    concurrency: int
    ratio: Range


class CancelRow(msgspec.Struct, frozen=True, tag_field="measure", tag="cancel"):
    """One of `slots` streams cancelled; the fields are those of `CancelTrial`.

    Attributes:
        within_target: trials whose `freed_s` is at most `TARGET_S`.
        left_out: trials in which a stream ended by itself.
    """

    engine: str
    slots: int
    trials: int
    left_out: int
    alone: Delay
    beside: Delay
    told: Delay
    freed: Delay
    within_target: int
    target_ms: float = 1000 * TARGET_S


class AbandonRow(msgspec.Struct, frozen=True, tag_field="measure", tag="abandon"):
    """An engine closed in the midst of `slots` streams; `lost_tokens` is None where nobody counts them."""

    engine: str
    slots: int
    trials: int
    closed: Delay
    idle: Delay
    lost_tokens: Range | None


Row = SpeedRow | RatioRow | CancelRow | AbandonRow


def speed_rows(speeds: Mapping[str, Sequence[float]], concurrency: int) -> list[Row]:
    """A row for each engine, and where there are two, one for the first over the second."""
    rows: list[Row] = [SpeedRow(name, concurrency, range_of(found), found) for name, found in speeds.items()]
    if len(speeds) == 2:
        (first, ours), (second, theirs) = speeds.items()
        ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
        rows.append(RatioRow(first, second, concurrency, range_of(ratios)))
    return rows


def cancel_row(engine: str, slots: int, trials: Sequence[CancelTrial], left_out: int) -> CancelRow:
    """Sum up one engine's trials."""
    alone, beside, told, freed = (delay_of(times) for times in zip(*trials, strict=True))
    within = sum(trial.freed_s <= TARGET_S for trial in trials)
    return CancelRow(engine, slots, len(trials), left_out, alone, beside, told, freed, within)


def abandon_row(engine: str, slots: int, trials: Sequence[AbandonTrial]) -> AbandonRow:
    """Sum up one engine's trials."""
    lost = [trial.lost_tokens for trial in trials if trial.lost_tokens is not None]
    closed = delay_of([trial.closed_s for trial in trials])
    idle = delay_of([trial.idle_s for trial in trials])
    return AbandonRow(engine, slots, len(trials), closed, idle, range_of(lost) if lost else None)


def range_of(values: Sequence[float]) -> Range:
    """Sum up one value or more."""
    return Range(median(values), min(values), max(values))


def delay_of(times_s: Sequence[float]) -> Delay:
    """Sum up one time or more."""
    ordered = sorted(times_s)
    p95 = ordered[ceil(0.95 * len(ordered)) - 1]
    return Delay(1000 * median(ordered), 1000 * p95, 1000 * ordered[-1])
