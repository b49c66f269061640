"""Divisions of a workload's problems, and which setting of an arm is used on the half that it was not chosen on.

One rule for all arms: of the settings that lose next to nothing on the calibration half, the one that saves most there.
Each division is used both ways, so that every problem is judged once a division, by what was chosen without it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from random import Random
from statistics import fmean, stdev

from dynasor.bench.offline_arms import Arm, Half
from dynasor.bench.offline_replays import Replay, measured
from dynasor.bench.offline_workloads import Workload
from dynasor.calibration.candidates import Candidate, Measured

TOLERATED = 0.001
"""What a setting may lose on the calibration half, a share of 1: a tenth of a point."""

CAUTION = 1.0
"""How many standard errors of that loss are added to it first."""


@dataclass(frozen=True, slots=True)
class Division:
    """Which problems, by place, are calibrated on and which are judged; they share no question."""

    seed: int
    calibration: tuple[int, ...]
    evaluation: tuple[int, ...]


def divisions(replays: Sequence[Replay], workload: Workload, count: int) -> Iterator[Division]:
    """So many seeded divisions into halves, each of them both ways."""
    units = sorted({workload.unit(replay.id) for replay in replays})
    for seed in range(count):
        order = list(units)
        Random(f"offline/{seed}").shuffle(order)
        first = set(order[: len(order) // 2])
        sides = [workload.unit(replay.id) in first for replay in replays]
        one = tuple(place for place, side in enumerate(sides) if side)
        other = tuple(place for place, side in enumerate(sides) if not side)
        yield Division(seed, one, other)
        yield Division(seed, other, one)


@dataclass(frozen=True, slots=True)
class Book:
    """What candidates come to on the problems of a workload, and what was fitted to parts of it; each is done once."""

    replays: Sequence[Replay]
    cap: int
    _whole: dict[Candidate, Measured] = field(default_factory=dict)
    _parts: dict[tuple[Candidate, tuple[int, ...]], Measured] = field(default_factory=dict)
    _halves: dict[tuple[int, ...], Half] = field(default_factory=dict)

    def of(self, candidate: Candidate) -> Measured:
        """Losses and tokens for all problems."""
        found = self._whole.get(candidate)
        if found is None:
            found = self._whole[candidate] = measured(candidate, self.replays)
        return found

    def on(self, candidate: Candidate, places: tuple[int, ...]) -> Measured:
        """The same for some of the problems."""
        found = self._parts.get((candidate, places))
        if found is None:
            found = self._parts[candidate, places] = measured(candidate, [self.replays[place] for place in places])
        return found

    def half(self, places: tuple[int, ...], seed: int) -> Half:
        """Some of the problems, to fit to."""
        found = self._halves.get(places)
        if found is None:
            found = self._halves[places] = Half([self.replays[place] for place in places], self.cap, seed)
        return found


@dataclass(frozen=True, slots=True)
class Judged:
    """An arm on all problems; one entry for each, means over orders and divisions.

    Attributes:
        losses: how right even is less how right the arm is.
        spent: tokens.
        chosen: how often each setting was chosen.
        by_division: the candidate of each division.
    """

    losses: tuple[float, ...]
    spent: tuple[float, ...]
    chosen: Mapping[str, int]
    by_division: tuple[tuple[Division, Candidate], ...]


def judged(arm: Arm, book: Book, parts: Sequence[Division]) -> Judged:
    """Choose on each calibration half; judge on the other."""
    losses, spent = [0.0] * len(book.replays), [0.0] * len(book.replays)
    used = [(part, *chosen(arm, book, part)) for part in parts]
    for part, _, candidate in used:
        figures = book.on(candidate, part.evaluation) if arm.learns else _within(book.of(candidate), part.evaluation)
        for place, loss, tokens in zip(part.evaluation, figures.losses, figures.spent, strict=True):
            losses[place] += loss
            spent[place] += tokens
    times = len(parts) / 2
    counted = Counter(name for _, name, _ in used)
    by_division = tuple((part, candidate) for part, _, candidate in used)
    return Judged(tuple(x / times for x in losses), tuple(x / times for x in spent), counted, by_division)


def chosen(arm: Arm, book: Book, part: Division) -> tuple[str, Candidate]:
    """The setting for the evaluation half, and its name; nothing is looked at but the calibration half."""
    settings = arm.settings(book.half(part.calibration, part.seed))
    if len(settings) == 1:
        ((name, only),) = settings.items()
        return (only.text if name == arm.name else name), only
    tried = _tried_apart(arm, settings, book, part) if arm.learns else _tried(settings, book, part.calibration)
    bearable = [each for each in tried if each.loss + CAUTION * each.error <= TOLERATED]
    best = min(bearable, key=lambda each: each.spent) if bearable else min(tried, key=lambda each: each.loss)
    return best.name, settings[best.name]


@dataclass(frozen=True, slots=True)
class _Tried:
    """A setting on the calibration half: mean loss, its standard error, and tokens."""

    name: str
    loss: float
    error: float
    spent: float


def _tried(settings: Mapping[str, Candidate], book: Book, places: tuple[int, ...]) -> list[_Tried]:
    """Settings that were fitted to nothing."""
    found = ((name, _within(book.of(candidate), places)) for name, candidate in settings.items())
    return [_summed(name, figures.losses, figures.spent) for name, figures in found]


def _tried_apart(arm: Arm, settings: Mapping[str, Candidate], book: Book, part: Division) -> list[_Tried]:
    """Settings fitted to one quarter of the problems and tried on another, both ways."""
    order = list(part.calibration)
    Random(f"offline/inner/{part.seed}").shuffle(order)
    quarters = tuple(order[::2]), tuple(order[1::2])
    columns: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in settings}
    for own, other in (quarters, quarters[::-1]):
        for name, candidate in arm.settings(book.half(own, part.seed)).items():
            fitted = candidate != settings[name]
            figures = book.on(candidate, other) if fitted else _within(book.of(candidate), other)
            columns[name][0].extend(figures.losses)
            columns[name][1].extend(figures.spent)
    return [_summed(name, *both) for name, both in columns.items()]


def _within(figures: Measured, places: Sequence[int]) -> Measured:
    """Those of some of the problems."""
    losses, spent, even = (
        tuple(column[place] for place in places) for column in (figures.losses, figures.spent, figures.even)
    )
    return Measured(figures.candidate, losses, spent, even)


def _summed(name: str, losses: Sequence[float], spent: Sequence[float]) -> _Tried:
    error = stdev(losses) / sqrt(len(losses)) if len(losses) > 1 else 0.0
    return _Tried(name, fmean(losses), error, sum(spent))
