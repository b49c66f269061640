"""The study of allocation policies on recorded samples: which traces, which caps, which policies, and its tables.

The neighbours' rules stand beside the paper's: early-stopping windows and Adaptive-Consistency. The length baseline
needs a threshold of its own for every trace: it is set on one half of the problems, to stop as many programs as the
static certaindex threshold does there, and used on the other half. It looks at no right answer.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from dynasor.allocation.baselines import Beta, Length, Windows
from dynasor.allocation.compose import FirstToStop
from dynasor.allocation.decided import Decided
from dynasor.allocation.progress import Policy
from dynasor.allocation.threshold import StaticThreshold, SteppedThreshold
from dynasor.bench.replays import Contender, Row, compare_policies
from dynasor.certaindex.entropy import certaindex_of
from dynasor.datasets.problem import Recording
from dynasor.datasets.recordings import read_recordings
from dynasor.engines.recorded import RecordedEngine
from dynasor.errors import UsageError

CAPS = (5, 10, 15, 20, 30, 40)
ORDERS = 20
FEWEST_PROBLEMS = 20
STATIC = StaticThreshold(threshold=0.7, detect_at=5)
FIXED: dict[str, Policy] = {
    "static 0.7 at 5": STATIC,
    "0.7 every 5": SteppedThreshold(threshold=0.7, detect_at=5, step=5),
    "0.7 every 1": SteppedThreshold(threshold=0.7, detect_at=5, step=1),
    "windows of 5": Windows(window=5),
    "beta 0.95": Beta(confidence=0.95),
    "decided": Decided(),
    "decided + static": FirstToStop((Decided(), STATIC)),
}


@dataclass(frozen=True, slots=True)
class Study:
    """The rows of one trace, or why it has none."""

    trace: str
    rows: tuple[Row, ...]
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """What to run; caps above what a trace has samples for are left out."""

    traces: tuple[Path, ...]
    caps: tuple[int, ...] = CAPS
    orders: int = ORDERS
    workers: int = 2


def run_study(plan: StudyPlan) -> Iterator[Study]:
    """The studies of all traces, each as it is done, in the order of the traces."""
    with ProcessPoolExecutor(plan.workers) as pool:
        jobs = [pool.submit(study_trace, trace, plan.caps, plan.orders) for trace in plan.traces]
        for job in jobs:
            yield job.result()


def study_trace(trace: Path, caps: Sequence[int], orders: int) -> Study:
    """Every policy at every cap that the trace has samples for."""
    name = trace.name.partition(".jsonl")[0]
    try:
        recordings = list(read_recordings(str(trace)))
    except UsageError as fault:
        return Study(name, (), str(fault).partition(": ")[2] or str(fault))
    rows: list[Row] = []
    for cap in caps:
        enough = [recording for recording in recordings if len(recording.samples) >= cap]
        if len(enough) >= FEWEST_PROBLEMS:
            rows += compare_policies(enough, contenders(enough, orders), cap=cap, orders=orders)
    return Study(name, tuple(rows), "" if rows else f"fewer than {min(caps)} samples a problem")


def contenders(recordings: Sequence[Recording], orders: int) -> list[Contender]:
    """Every policy in rounds and in flight, the length baseline fitted on the other fold."""
    fitted = _fitted_lengths(recordings, orders)
    found = []
    for in_flight in (False, True):
        suffix = ", in flight" if in_flight else ""
        found.append(Contender(f"length at 5{suffix}", lambda id: fitted[fold_of(id)], in_flight))
        for name, policy in FIXED.items():
            found.append(Contender(name + suffix, lambda id, policy=policy: policy, in_flight))  # type: ignore[misc]
    return found


def fold_of(problem: str) -> int:
    """0 or 1, by the problem's id alone."""
    return blake2b(problem.encode(), digest_size=1).digest()[0] % 2


def _fitted_lengths(recordings: Sequence[Recording], orders: int) -> dict[int, Length]:
    """For each fold, the threshold that stops on the other one as many as the static certaindex threshold does."""
    samples = {recording.problem.id: recording.samples for recording in recordings}
    engines = [RecordedEngine(samples, seed=seed) for seed in range(orders)]
    lengths: dict[int, list[int]] = {0: [], 1: []}
    certain: dict[int, int] = {0: 0, 1: 0}
    for recording in recordings:
        fold = fold_of(recording.problem.id)
        for engine in engines:
            first = [recording.samples[place] for place in engine.order(recording.problem.id)[: STATIC.detect_at]]
            answers = [sample.answer for sample in first]
            lengths[fold].append(sum(sample.tokens for sample in first))
            certain[fold] += certaindex_of(map(answers.count, set(answers))) >= STATIC.threshold
    return {fold: _quantile(lengths[1 - fold], certain[1 - fold]) for fold in (0, 1)}


def _quantile(lengths: list[int], stopped: int) -> Length:
    if not stopped:
        return Length(tokens=0, detect_at=STATIC.detect_at)
    return Length(tokens=sorted(lengths)[stopped - 1], detect_at=STATIC.detect_at)
