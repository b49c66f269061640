"""Runs as a comparison reads them, from synthetic journals or without any."""

from collections.abc import Sequence
from pathlib import Path

from dynasor.bench.runs import Run, load_run
from dynasor.journal.records import ProgramFinished, Setting
from support.journals import SyntheticRun, write_run

STATIC = "static:threshold=0.7,detect_at=5"


def loaded(root: Path, runs: Sequence[SyntheticRun]) -> list[Run]:
    return [load_run(run.write(root / f"run{place}")) for place, run in enumerate(runs)]


def both_at(*caps: int) -> list[SyntheticRun]:
    return [run for cap in caps for run in (SyntheticRun("even", cap), SyntheticRun(STATIC, cap, effort=0.5))]


def written(directory: Path, records: Sequence[ProgramFinished], **settings: Setting) -> Run:
    return load_run(write_run(directory, records, {"policy": "even", "cap": 10, "seed": 0, **settings}))


def bare(path: str, settings: dict[str, Setting]) -> Run:
    """A run whose results do not matter."""
    return Run(Path(path), {"policy": "even", "cap": 20, "seed": 0, **settings}, {})
