"""From walks of policies to rows: paired intervals over problems, and where ours takes more than the oracle.

Questions are the units that are resampled; orders and divisions are averaged within them. It chooses no policy.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import StatisticsError, fmean
from statistics import correlation as pearson

from dynasor.bench.offline_arms import NEIGHBOUR, OURS_TUNED, STATIC, Arm
from dynasor.bench.offline_choice import Book, Judged
from dynasor.bench.offline_replays import KnownPath, Replay
from dynasor.bench.offline_rows import ORACLE, ArmRow, Band, Duel, SweepRow
from dynasor.bench.offline_workloads import Workload
from dynasor.bench.resampling import Ratio, resampled_ratios
from dynasor.calibration.candidates import Candidate
from dynasor.calibration.profile import RIGHT
from dynasor.metrics.intervals import Estimate

BANDS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
RATIOS = ("tokens", "accuracy", "spent", "difference", "times")


class Table:
    """The arms of one workload at one cap, as columns with one entry for each unit."""

    def __init__(self, replays: Sequence[Replay], workload: Workload) -> None:
        self.replays = replays
        units = [workload.unit(replay.id) for replay in replays]
        places = {unit: place for place, unit in enumerate(dict.fromkeys(units))}
        self._places = [places[unit] for unit in units]
        self._count = len(places)
        self.ones = self._column([1.0] * len(replays))
        right = [fmean(path.right[-1] for path in replay.paths) for replay in replays]
        self._right = self._column(right)
        self._even = self._column([_mean_tokens(replay, replay.paths[0].cap) for replay in replays])
        self._oracle = self._column([fmean(path.tokens(path.oracle) for path in r.paths) for r in replays])
        self._spent: dict[str, list[float]] = {ORACLE: self._oracle}
        self._losses: dict[str, list[float]] = {ORACLE: [0.0] * self._count}
        self._arms: dict[str, tuple[str, Mapping[str, int]]] = {ORACLE: (ORACLE, {})}

    def add(self, arm: Arm, found: Judged) -> None:
        """Take in an arm."""
        self._spent[arm.name] = self._column(found.spent)
        self._losses[arm.name] = self._column(found.losses)
        self._arms[arm.name] = (arm.side, found.chosen)

    def rows(self) -> tuple[list[ArmRow], list[Duel]]:
        """The figures of all arms, the oracle last; and ours against the neighbours', where ours is among them."""
        ratios: dict[tuple[str, str], Ratio] = {
            (name, what): ratio for name in self._arms for what, ratio in self._ratios(name).items()
        }
        rules = [name for name, (side, _) in self._arms.items() if side == NEIGHBOUR and OURS_TUNED in self._arms]
        for rule in rules:
            ratios[rule, "duel"] = (self._spent[OURS_TUNED], self._spent[rule])
            gained = [r - o for r, o in zip(self._losses[rule], self._losses[OURS_TUNED], strict=True)]
            ratios[rule, "gained"] = (gained, self.ones)
        found = resampled_ratios(ratios)
        rows = [self._row(name, {what: found[name, what] for what in RATIOS}) for name in self._arms]
        return [*rows[1:], rows[0]], [Duel(rule, found[rule, "duel"], found[rule, "gained"]) for rule in rules]

    def _ratios(self, name: str) -> dict[str, Ratio]:
        lost = self._losses[name]
        return {
            "tokens": (self._spent[name], self.ones),
            "accuracy": ([right - loss for right, loss in zip(self._right, lost, strict=True)], self.ones),
            "spent": (self._spent[name], self._even),
            "difference": ([-loss for loss in lost], self.ones),
            "times": (self._spent[name], self._oracle),
        }

    def _row(self, name: str, found: Mapping[str, Estimate]) -> ArmRow:
        side, settings = self._arms[name]
        spent = found["spent"]
        return ArmRow(
            arm=name,
            side=side,
            cap=self.replays[0].paths[0].cap,
            settings=settings,
            tokens=found["tokens"],
            accuracy=found["accuracy"],
            saved=Estimate(1 - spent.value, 1 - spent.high, 1 - spent.low),
            difference=found["difference"],
            times=found["times"],
        )

    def _column(self, values: Sequence[float]) -> list[float]:
        """Summed within each unit."""
        sums = [0.0] * self._count
        for place, value in zip(self._places, values, strict=True):
            sums[place] += value
        return sums


def swept(candidates: Sequence[Candidate], book: Book) -> Iterator[SweepRow]:
    """Static thresholds, each on all problems: none was chosen."""
    for candidate in candidates:
        found = book.of(candidate)
        threshold = float(candidate.text.partition("threshold=")[2].partition(",")[0])
        yield SweepRow(threshold, 1 - sum(found.spent) / sum(found.even), -fmean(found.losses))


def zones(replays: Sequence[Replay]) -> tuple[float, float, float]:
    """The shares of programs that are easy, that scale, and that are impossible."""
    needed = [path.needed for replay in replays for path in replay.paths]
    easy = sum(each is not None and each <= STATIC.detect_at for each in needed)
    impossible = needed.count(None)
    return easy / len(needed), (len(needed) - easy - impossible) / len(needed), impossible / len(needed)


def correlation(replays: Sequence[Replay]) -> float | None:
    """Pearson's, of certaindex at the detection step and the branches needed, over programs right at the cap."""
    points = [
        (path.progress[min(STATIC.detect_at, path.cap)].certaindex, path.needed)
        for replay in replays
        for path in replay.paths
        if path.needed is not None
    ]
    try:
        return pearson([certaindex for certaindex, _ in points], [needed for _, needed in points])
    except StatisticsError:  # no two different points
        return None


def excess(found: Judged, replays: Sequence[Replay]) -> dict[str, float]:
    """Where an arm takes more than the oracle: shares of that by what became of the programs."""
    beyond: Counter[str] = Counter()
    for part, candidate in found.by_division:
        for path in (path for place in part.evaluation for path in replays[place].paths):
            spent = path.tokens(path.stopped_at(candidate.policy)) - path.tokens(path.oracle)
            beyond[_became(path)] += spent
    total = sum(beyond.values())
    return {name: tokens / total for name, tokens in sorted(beyond.items())} if total else {}


def waiting(replays: Sequence[Replay], branches: int = 3) -> float:
    """What the oracle takes if it has to see so many branches first, in times of what it takes."""
    paths = [path for replay in replays for path in replay.paths]
    late = sum(path.tokens(min(max(path.oracle, branches), path.cap)) for path in paths)
    return late / sum(path.tokens(path.oracle) for path in paths)


def bands(spent: Mapping[str, Sequence[float]], replays: Sequence[Replay]) -> list[Band]:
    """Tokens a problem by difficulty: how many of a problem's programs are right after one branch."""
    gathered: defaultdict[int, list[int]] = defaultdict(list)
    for place, replay in enumerate(replays):
        ease = fmean(path.right[1] for path in replay.paths)
        gathered[max(n for n, low in enumerate(BANDS[:-1]) if ease >= low)].append(place)
    return [
        Band(BANDS[n], BANDS[n + 1], len(own), {name: fmean(column[p] for p in own) for name, column in spent.items()})
        for n, own in sorted(gathered.items())
    ]


def _became(path: KnownPath) -> str:
    if path.right[-1] < RIGHT:
        return "wrong at the cap"
    return "right at once" if path.oracle == 1 else "right later"


def _mean_tokens(replay: Replay, knob: int) -> float:
    return fmean(path.tokens(knob) for path in replay.paths)
