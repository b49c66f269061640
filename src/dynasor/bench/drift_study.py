"""The study of drift: how soon planted shifts are caught, and how often an alarm is raised without one.

A shift is from the easier three quarters of a recording's problems to the hardest quarter, or to what another model
makes of the same kind of problems. Every run divides the source's problems anew: one half, or so many of it as
suffice, is calibrated on; the other half is the run without a shift, each problem once.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from random import Random
from statistics import fmean

from dynasor.answers.grouping import ByText
from dynasor.bench.drift_runs import Promised, Watched, Watching, drawn, promised, watched
from dynasor.calibration.calibrate import divided
from dynasor.calibration.guarantee import Promise
from dynasor.calibration.profile import ProblemProfile, profiled
from dynasor.datasets.recordings import read_recordings
from dynasor.metrics.intervals import Estimate, wilson
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency

ORDERS = 2
MOST_CALIBRATED = 400
EASIER = 0.75
HORIZON = 2000  # programs after a shift; one that is not caught by then counts as not caught
WATCHINGS = (
    Watching("all tests, 1 program in 20 a shadow", 0.05, labelled=True, efforts=True),
    Watching("accuracy alone, all shadows", 1.0, labelled=True, efforts=False),
    Watching("answers alone, all shadows, no labels", 1.0, labelled=False, efforts=False),
)
NO_SHIFT = "none"


@dataclass(frozen=True, slots=True)
class Shift:
    """A planted shift: from one recording, or the easier half of it, to the harder half or to another recording."""

    source: str
    target: str | None
    cap: int

    @property
    def name(self) -> str:
        """As in the tables."""
        return f"to {self.target}" if self.target else "to its hardest quarter"

    @property
    def recordings(self) -> tuple[str, ...]:
        """What must be there."""
        return (self.source, self.target) if self.target else (self.source,)


SHIFTS = (
    Shift("code-davinci-002__svamp_pot", None, 20),
    Shift("gpt-4__asdiv", None, 12),
    Shift("gpt-3.5__last_letters", None, 20),
    Shift("zeroeval-43-models__gsm8k", "llama-2-13b__gsm8k_pot", 20),
    Shift("codellama-7b__cruxeval_output", "codellama-7b__cruxeval_input", 10),
    Shift("r1-distill-llama-8b+qwq-32b__math100", "r1-distill-llama-8b__math100_v1", 20),
)


@dataclass(frozen=True, slots=True)
class DriftPlan:
    """What to run."""

    folder: Path
    runs: int
    promise: Promise = Promise(0.02, 0.95)  # noqa: RUF009  (frozen)
    shifts: tuple[Shift, ...] = SHIFTS
    orders: int = ORDERS
    workers: int = 2

    def file(self, name: str) -> Path:
        """Where a recording is."""
        return self.folder / f"{name}.jsonl.zst"


@dataclass(frozen=True, slots=True)
class DriftRow:
    """Runs of one kind under one way to watch.

    Attributes:
        calibrated: how many problems were calibrated on.
        length: programs of a run, at most.
        alarms: the share of runs with an alarm.
        programs, shadows: median and 90th percentile at the alarm; None where no alarm came in that many runs.
        reasons: how many alarms for each reason.
        policies: how many runs had which policy; the most frequent ones.
        loss: what the policies lose on the problems of the runs, a share of 1, on average over the runs.
    """

    source: str
    shift: str
    watching: str
    runs: int
    calibrated: int
    length: int
    alarms: Estimate
    programs: tuple[int | None, int | None]
    shadows: tuple[int | None, int | None]
    reasons: Mapping[str, int]
    policies: Mapping[str, int]
    loss: float


def run_drift(plan: DriftPlan) -> Iterator[list[DriftRow]]:
    """The rows of every shift, each with those of its runs without one."""
    with ProcessPoolExecutor(plan.workers) as pool:
        yield from pool.map(partial(study_shift, plan=plan), plan.shifts)


def study_shift(shift: Shift, plan: DriftPlan) -> list[DriftRow]:
    """Runs with the shift from their beginning, and runs without it."""
    source, target = _both(shift, plan)
    table: dict[tuple[str, str], list[Watched]] = {}
    policies: Counter[str] = Counter()
    losses: dict[str, list[float]] = {NO_SHIFT: [], shift.name: []}
    for run in range(plan.runs):
        calibration, rest = divided(source, 0.5, run)
        given = promised(calibration[:MOST_CALIBRATED], plan.promise, run)
        policies[given.text] += 1
        kinds = {NO_SHIFT: (rest, len(rest)), shift.name: (target, HORIZON)}
        for kind, (profiles, length) in kinds.items():
            losses[kind].append(_loss(given, profiles))
            for watching in WATCHINGS:
                random = Random(f"drift/{run}/{kind}/{watching.name}")
                came = watched(given, drawn(profiles, random, length), watching, random)
                table.setdefault((kind, watching.name), []).append(came)
    half = round(len(source) / 2)
    lengths = {NO_SHIFT: len(source) - half, shift.name: HORIZON}
    return [
        _row(
            shift.source,
            kind,
            watching,
            came,
            (min(half, MOST_CALIBRATED), lengths[kind]),
            policies,
            fmean(losses[kind]),
        )
        for (kind, watching), came in table.items()
    ]


def parted_by_difficulty(
    profiles: Sequence[ProblemProfile],
) -> tuple[list[ProblemProfile], list[ProblemProfile]]:
    """Easy and hard problems: by how certain the whole vote is, which takes no label."""
    ranked = sorted(profiles, key=lambda profile: -fmean(path.progress[-1].certaindex for path in profile.paths))
    easier = round(EASIER * len(ranked))
    return ranked[:easier], ranked[easier:]


def _both(shift: Shift, plan: DriftPlan) -> tuple[list[ProblemProfile], list[ProblemProfile]]:
    source = _profiles(shift.source, shift.cap, plan)
    if shift.target is None:
        return parted_by_difficulty(source)
    return source, _profiles(shift.target, shift.cap, plan)


def _profiles(name: str, cap: int, plan: DriftPlan) -> list[ProblemProfile]:
    recordings = read_recordings(str(plan.file(name)))
    return profiled(recordings, SelfConsistency, Setup(cap=cap, grouping=ByText), orders=plan.orders)


def _loss(given: Promised, profiles: Sequence[ProblemProfile]) -> float:
    return fmean(
        fmean(path.right[-1] - path.right[given.stops_at(path)] for path in profile.paths) for profile in profiles
    )


def _row(
    source: str,
    kind: str,
    watching: str,
    came: Sequence[Watched],
    sizes: tuple[int, int],
    policies: Counter[str],
    loss: float,
) -> DriftRow:
    alarms = [each for each in came if each.reason is not None]
    return DriftRow(
        source=source,
        shift=kind,
        watching=watching,
        runs=len(came),
        calibrated=sizes[0],
        length=sizes[1],
        alarms=wilson(len(alarms), len(came)),
        programs=_quantiles(came, lambda each: each.programs),
        shadows=_quantiles(came, lambda each: each.shadows),
        reasons=Counter(str(each.reason) for each in alarms),
        policies=dict(policies.most_common(3)),
        loss=loss,
    )


def _quantiles(came: Sequence[Watched], count: Callable[[Watched], int]) -> tuple[int | None, int | None]:
    """The median and the 90th percentile, a run without an alarm being beyond all."""
    ordered = sorted(count(each) if each.reason is not None else inf for each in came)
    median, late = ordered[(len(ordered) - 1) // 2], ordered[(9 * len(ordered) + 9) // 10 - 1]
    return _whole(median), _whole(late)


def _whole(number: float) -> int | None:
    return None if number == inf else int(number)
