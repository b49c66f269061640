"""The study of promises on recorded samples: which traces, at which cap, and its rows, kept trace by trace.

A trace that is done is not run again: its rows are found in the file, where they were made as they would be now.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import msgspec

from dynasor.answers.grouping import ByText
from dynasor.bench.coverage import Coverage, coverage, exceeding, exceeding_on_all, mean_saving
from dynasor.bench.policy_study import CAPS
from dynasor.calibration.guarantee import Promise
from dynasor.calibration.profile import ProblemProfile, profiled
from dynasor.datasets.files import bare_name, file_digest
from dynasor.datasets.problem import Recording
from dynasor.datasets.recordings import read_recordings
from dynasor.datasets.tables import json_objects
from dynasor.errors import UsageError
from dynasor.metrics.intervals import Estimate
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency

SPLITS = 500
ORDERS = 1
TOLERANCES = (0.005, 0.01, 0.02, 0.05)
CONFIDENCE = 0.95
FEWEST_PROBLEMS = 40  # in halves of twenty, a quarter of which is five


@dataclass(frozen=True, slots=True)
class CoveragePlan:
    """What to run; every promise is tested on the same splits."""

    traces: tuple[Path, ...]
    splits: int = SPLITS
    orders: int = ORDERS
    tolerances: tuple[float, ...] = TOLERANCES
    confidence: float = CONFIDENCE
    workers: int = 2

    @property
    def promises(self) -> list[Promise]:
        """What is promised."""
        return [Promise(tolerance, self.confidence) for tolerance in self.tolerances]


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a chooser's policies did on problems that they were not chosen on.

    Attributes:
        broken: the share of splits in which more than the tolerance was lost on the test half, with Wilson's interval.
        broken_on_all: the same, on all problems that the policy was not fitted to.
        saving: the mean share of tokens saved on the test half.
        loss: the mean loss of accuracy there, a share of 1.
        worst: the greatest.
    """

    broken: Estimate
    broken_on_all: Estimate
    saving: float
    loss: float
    worst: float


class CoverageRow(msgspec.Struct, frozen=True, kw_only=True):
    """One promise on one trace.

    Attributes:
        digest: of the trace's file.
        promised: the calibrator's choices; tuned: those of the tuner without a guarantee.
        promised_more: the share of splits in which more than stopping at a decided vote could be promised.
        decided: the mean share of tokens that stopping at a decided vote saves.
        choices: how often the calibrator chose a policy of each kind, the most frequent first.
    """

    trace: str
    digest: str
    problems: int
    cap: int
    orders: int
    splits: int
    tolerance: float
    confidence: float
    promised: Kept
    tuned: Kept
    promised_more: float
    decided: float
    choices: dict[str, int]


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A trace that says nothing of this, and why."""

    trace: str
    digest: str
    left_out: str


Line = CoverageRow | LeftOut


def run_coverage(plan: CoveragePlan, done: Sequence[Line]) -> Iterator[list[Line]]:
    """The lines of every trace, each as it is done, the largest first; those of `done` that hold stay as they are."""
    known = {trace: _known(trace, plan, done) for trace in plan.traces}
    yield from (lines for lines in known.values() if lines is not None)
    missing = [trace for trace, lines in known.items() if lines is None]
    with ProcessPoolExecutor(plan.workers) as pool:
        jobs = [pool.submit(study_trace, trace, plan) for trace in sorted(missing, key=_length, reverse=True)]
        for job in as_completed(jobs):
            yield job.result()


def _length(trace: Path) -> int:
    """How many problems it has."""
    return sum(1 for _ in json_objects(trace, msgspec.json.Decoder(msgspec.Raw)))


def study_trace(trace: Path, plan: CoveragePlan) -> list[Line]:
    """Every promise at the largest cap that the trace has samples for."""
    name, digest = bare_name(trace), file_digest(trace)
    try:
        profiles = _profiles(trace, plan.orders)
        found = coverage(profiles, plan.promises, splits=plan.splits)
    except UsageError as fault:
        return [
            LeftOut(trace=name, digest=digest, left_out=str(fault).replace(f"{trace} ", "").replace(f"{trace}: ", ""))
        ]
    size = (len(profiles), profiles[0].paths[0].cap, plan.orders)
    return [_row(each, name, digest, size) for each in found]


def _profiles(trace: Path, orders: int) -> list[ProblemProfile]:
    recordings = list(read_recordings(str(trace)))
    cap = largest_cap(recordings)
    if cap is None:
        raise UsageError(f"fewer than {FEWEST_PROBLEMS} problems with {min(CAPS)} samples")
    return profiled(recordings, SelfConsistency, Setup(cap=cap, grouping=ByText), orders=orders)


def largest_cap(recordings: Sequence[Recording]) -> int | None:
    """The largest cap of the policy study that enough problems have samples for."""
    counts = sorted((len(recording.samples) for recording in recordings), reverse=True)
    most = counts[FEWEST_PROBLEMS - 1] if len(counts) >= FEWEST_PROBLEMS else 0
    return max((cap for cap in CAPS if cap <= most), default=None)


def read_lines(path: Path) -> list[Line]:
    """The lines of an earlier run; none where there was none.

    Raises:
        UsageError: where the file is something else.
    """
    if not path.exists():
        return []
    try:
        lines = path.read_bytes().splitlines()[1:]
        return [_line(line) for line in lines]
    except msgspec.DecodeError as fault:
        raise UsageError(f"{path} holds no rows of this study ({fault}); remove it, or choose another --out") from fault


def _line(line: bytes) -> Line:
    if b'"left_out"' in line:
        return msgspec.json.decode(line, type=LeftOut)
    return msgspec.json.decode(line, type=CoverageRow)


def _known(trace: Path, plan: CoveragePlan, done: Sequence[Line]) -> list[Line] | None:
    name, digest = bare_name(trace), file_digest(trace)
    mine = [line for line in done if line.trace == name and line.digest == digest]
    if any(isinstance(line, LeftOut) for line in mine):
        return mine
    by_tolerance = {line.tolerance: line for line in mine if isinstance(line, CoverageRow) and _as_planned(line, plan)}
    found: list[Line] = [by_tolerance[t] for t in plan.tolerances if t in by_tolerance]
    return found if len(found) == len(plan.tolerances) else None


def _as_planned(row: CoverageRow, plan: CoveragePlan) -> bool:
    return (row.splits, row.orders, row.confidence) == (plan.splits, plan.orders, plan.confidence)


def _row(found: Coverage, trace: str, digest: str, size: tuple[int, int, int]) -> CoverageRow:
    problems, cap, orders = size
    kinds = [tried.policy.split(":")[0] for tried in found.promised]
    return CoverageRow(
        trace=trace,
        digest=digest,
        problems=problems,
        cap=cap,
        orders=orders,
        splits=len(found.promised),
        tolerance=found.promise.tolerance,
        confidence=found.promise.confidence,
        promised=_kept(found, tuned=False),
        tuned=_kept(found, tuned=True),
        promised_more=found.promised_more,
        decided=fmean(found.decided),
        choices={kind: kinds.count(kind) for kind in sorted(set(kinds), key=kinds.count, reverse=True)},
    )


def _kept(found: Coverage, *, tuned: bool) -> Kept:
    tried = found.tuned if tuned else found.promised
    losses = [each.loss for each in tried]
    return Kept(
        broken=exceeding(tried, found.promise),
        broken_on_all=exceeding_on_all(tried, found.promise),
        saving=mean_saving(tried),
        loss=fmean(losses),
        worst=max(losses),
    )
