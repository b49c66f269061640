"""The offline evaluation of one workload after another: what is done is kept, and not done again.

A workload is done in one process from its recording to its file of rows; a kill loses the workloads that run, and
nothing else.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from dynasor.bench.offline_arms import EVEN, OURS_TUNED, arms, every_size, sweep
from dynasor.bench.offline_choice import CAUTION, TOLERATED, Book, Judged, divisions, judged
from dynasor.bench.offline_figures import Table, bands, correlation, excess, swept, waiting, zones
from dynasor.bench.offline_replays import Replay, replays_of, shortened
from dynasor.bench.offline_rows import (
    ORACLE,
    ArmRow,
    Duel,
    Facts,
    Origin,
    Result,
    read_result,
    write_result,
)
from dynasor.bench.offline_workloads import CAPS, LEAST_SAMPLES, Workload, caps_of, workload_of
from dynasor.clock import Clock, WallClock
from dynasor.datasets.recordings import read_recordings
from dynasor.errors import UsageError

VERSION = 3
"""Of what is computed: rows of another version are computed anew."""


@dataclass(frozen=True, slots=True)
class OfflinePlan:
    """What to evaluate.

    Attributes:
        sources: files of recordings, or directories of runs of policy even.
        tolerance: what the arm with a guarantee promises, a share of 1.
        most_problems: only the first so many of each recording; None for all.
    """

    sources: tuple[str, ...]
    caps: tuple[int, ...] = CAPS
    orders: int = 20
    divided: int = 2
    tolerance: float = 0.01
    most_problems: int | None = None
    workers: int = 2

    def settings(self, digest: str) -> dict[str, str | int | float | list[int]]:
        """All that the rows of a workload depend on."""
        return {
            "version": VERSION,
            "digest": digest,
            "caps": list(self.caps),
            "orders": self.orders,
            "divisions": self.divided,
            "tolerance": self.tolerance,
            "tolerated": TOLERATED,
            "caution": CAUTION,
            "most_problems": self.most_problems or 0,
        }


def file_of(source: str, out: Path) -> Path:
    """Where the rows of a workload are kept."""
    return out / "workloads" / f"{workload_of(source).name}.jsonl"


def run_offline(plan: OfflinePlan, out: Path, provenance: Mapping[str, str | int | float]) -> Iterator[Result]:
    """The results of all workloads, as they are done; those that were done before first."""
    missing = []
    for source in plan.sources:
        known = _known(source, plan, out)
        if known is None:
            missing.append(source)
        else:
            yield known
    if missing:
        with ProcessPoolExecutor(min(plan.workers, len(missing))) as pool:
            jobs = [pool.submit(_done, source, plan, out, provenance) for source in missing]
            for job in as_completed(jobs):
                yield job.result()


def known_results(plan: OfflinePlan, out: Path) -> Iterator[Result]:
    """Those that were done before, with the same settings."""
    found = (_known(source, plan, out) for source in plan.sources)
    return (result for result in found if result is not None)


def _known(source: str, plan: OfflinePlan, out: Path) -> Result | None:
    found = read_result(file_of(source, out))
    wanted = plan.settings(read_recordings(source).digest())
    return found if found is not None and dict(found.origin.settings) == wanted else None


def _done(source: str, plan: OfflinePlan, out: Path, provenance: Mapping[str, str | int | float]) -> Result:
    result = evaluated(source, plan, provenance, WallClock())
    write_result(result, file_of(source, out))
    return result


def evaluated(source: str, plan: OfflinePlan, provenance: Mapping[str, str | int | float], clock: Clock) -> Result:
    """Every arm on one workload, at every cap that it has samples for; left out where it cannot be replayed."""
    started = clock.now()
    workload, settings = workload_of(source), plan.settings(read_recordings(source).digest())
    try:
        recordings = list(read_recordings(source))[: plan.most_problems]
        caps = caps_of(recordings, plan.caps)
        reason = "" if caps else f"fewer than {LEAST_SAMPLES} samples a problem, or too few problems"
        replays = replays_of(recordings, caps[-1], plan.orders) if caps else []
    except UsageError as fault:
        reason, caps, replays = str(fault).partition(": ")[2] or str(fault), (), []
    if reason:
        named = workload.name, workload.model, workload.task, workload.kind, workload.remark
        return Result(Origin(settings, provenance, clock.now() - started), Facts(*named, 0, 0, left_out=reason))
    smaller = [row for cap in caps[:-1] for row in _smaller(replays, cap, workload)]
    found, rows, duels = _largest(replays, caps[-1], workload, plan)
    return Result(
        Origin(settings, provenance, clock.now() - started),
        _facts(workload, replays, found[OURS_TUNED]),
        (*smaller, *rows),
        tuple(duels),
        tuple(swept(sweep(caps[-1]), Book(replays, caps[-1]))),
        tuple(bands(_by_problem(found, replays), replays)),
    )


def _smaller(replays: list[Replay], cap: int, workload: Workload) -> list[ArmRow]:
    """What needs no choice, at a cap below the largest."""
    replays = shortened(replays, cap)
    table, book = Table(replays, workload), Book(replays, cap)
    for arm in every_size():
        table.add(arm, judged(arm, book, list(divisions(replays, workload, 1))))
    return table.rows()[0]


def _largest(
    replays: list[Replay], cap: int, workload: Workload, plan: OfflinePlan
) -> tuple[dict[str, Judged], list[ArmRow], list[Duel]]:
    """All arms, and their rows."""
    table, book = Table(replays, workload), Book(replays, cap)
    parts = list(divisions(replays, workload, plan.divided))
    found: dict[str, Judged] = {}
    for arm in arms(plan.tolerance):
        found[arm.name] = judged(arm, book, parts)
        table.add(arm, found[arm.name])
    return found, *table.rows()


def _facts(workload: Workload, replays: list[Replay], ours: Judged) -> Facts:
    easy, scaling, impossible = zones(replays)
    return Facts(
        workload.name,
        workload.model,
        workload.task,
        workload.kind,
        workload.remark,
        len(replays),
        replays[0].paths[0].cap,
        easy,
        scaling,
        impossible,
        correlation(replays),
        excess(ours, replays),
        waiting(replays),
    )


def _by_problem(found: Mapping[str, Judged], replays: list[Replay]) -> dict[str, list[float]]:
    oracle = [sum(path.tokens(path.oracle) for path in replay.paths) / len(replay.paths) for replay in replays]
    return {EVEN.text: list(found[EVEN.text].spent), "ours": list(found[OURS_TUNED].spent), ORACLE: oracle}
