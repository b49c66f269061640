"""Programs as the study of signals sees them: what each signal read at the detection step, and what came of it.

Every program is self-consistency over one seeded order of a problem's recorded samples, from nothing to the cap. What
is fitted to a reading, and how good a reading is, is not known here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from dynasor.answers.grouping import ByText
from dynasor.bench.policy_study import FEWEST_PROBLEMS, fold_of
from dynasor.bench.signals_sources import Source
from dynasor.calibration.profile import Path, profiled
from dynasor.datasets.problem import Problem, Recording
from dynasor.engines.recorded import RecordedEngine
from dynasor.errors import UsageError
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.request import Sample

LARGEST_CAP = 40  # of Table 2
DETECT_AT = 5  # of Table 1, for self-consistency
POOLED_PROGRAMS = 1000

ENTROPY = "entropy"
PLAIN = (ENTROPY, "length", "logprob", "lowest group", "mean reward", "best reward")
"""The signals that need no fitting. Of each, a higher reading says that less compute is needed."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One program: its path, and what the signals read at the detection step."""

    path: Path
    readings: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Case:
    """One problem.

    Attributes:
        unit: what is independent of other problems: the question. One that several models answered is one unit.
        programs: one for each order.
    """

    unit: str
    question: str
    programs: tuple[Watched, ...]

    @property
    def fold(self) -> int:
        """0 or 1: the half that it belongs to, whole questions together."""
        return fold_of(self.unit)


@dataclass(frozen=True, slots=True)
class Workload:
    """The problems of one recording that have enough samples."""

    name: str
    cap: int
    detect_at: int
    orders: int
    signals: tuple[str, ...]
    cases: tuple[Case, ...]

    @property
    def pooled(self) -> int:
        """How many orders to pool where many orders of many problems would tell no more."""
        return max(1, min(self.orders, POOLED_PROGRAMS // len(self.cases)))


def watch(source: Source, *, detect_at: int = DETECT_AT, orders: int) -> Workload:
    """Run every problem under every order.

    Raises:
        UsageError: too few problems have more samples than the detection step, or one has no right answer.
    """
    cap = common_cap(source.recordings)
    enough = [recording for recording in source.recordings if len(recording.samples) >= cap]
    if cap <= detect_at:
        raise UsageError(f"most problems have {cap} samples at most; a detection step of {detect_at} needs more")
    if len(enough) < FEWEST_PROBLEMS:
        raise UsageError(f"{len(enough)} problems with {cap} samples; at least {FEWEST_PROBLEMS} are needed")
    cases = tuple(_case(recording, source.lowest, cap, detect_at, orders) for recording in enough)
    everywhere = set.intersection(*(set(program.readings) for case in cases for program in case.programs))
    signals = tuple(name for name in PLAIN if name in everywhere)
    return Workload(source.name, cap, detect_at, orders, signals, cases)


def common_cap(recordings: Sequence[Recording]) -> int:
    """The most samples that at least half of the problems have, and no more than the largest cap."""
    counts = sorted((len(recording.samples) for recording in recordings), reverse=True)
    return min(LARGEST_CAP, counts[(len(counts) - 1) // 2]) if counts else 0


def unit_of(problem: Problem) -> str:
    """The question; where it was not recorded, the problem's id without the model that answered."""
    return problem.question or problem.id.rpartition("/")[2]


def _case(recording: Recording, lowest: Mapping[str, Sequence[float]], cap: int, detect_at: int, orders: int) -> Case:
    problem = recording.problem
    (profile,) = profiled([recording], SelfConsistency, Setup(cap=cap, grouping=ByText), orders=orders)
    groups = lowest.get(problem.id)
    programs = []
    for seed, path in enumerate(profile.paths):
        first = RecordedEngine({problem.id: recording.samples}, seed=seed).order(problem.id)[:detect_at]
        readings = {ENTROPY: path.progress[detect_at].certaindex}
        readings |= sample_readings([recording.samples[place] for place in first])
        if groups:
            readings["lowest group"] = fmean(groups[place] for place in first)
        programs.append(Watched(path, readings))
    return Case(unit_of(problem), problem.question, tuple(programs))


def sample_readings(samples: Sequence[Sample]) -> dict[str, float]:
    """What the samples themselves say, as far as it was recorded for all of them."""
    readings = {"length": -fmean(sample.tokens for sample in samples)}
    logprobs = [sample.mean_logprob for sample in samples if sample.mean_logprob is not None]
    rewards = [sample.reward for sample in samples if sample.reward is not None]
    if len(logprobs) == len(samples):
        readings["logprob"] = fmean(logprobs)
    if len(rewards) == len(samples):
        readings["mean reward"], readings["best reward"] = fmean(rewards), max(rewards)
    return readings
