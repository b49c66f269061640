"""Runs a training for a stated time in two processes of one thread each, with reports and checkpoints.

On shared cores that loses less than two threads of one process, and they average their gradients. It does not know what
is learnt.
"""

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import torch
from torch import distributed
from torch._dynamo import config as dynamo_settings
from torch.multiprocessing.spawn import spawn

from training import schedule
from training.checkpoint import restore, write
from training.trainer import Settings, Task, Training

CHECKPOINT_EVERY_S = 120.0
REPORT_EVERY_S = 20.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to train: both are functions of a module, so that a new process finds them.

    Attributes:
        task: makes what is learnt.
        export: writes what serves below `settings.out`, when the time is up.
        figure: the name of the figure that the task reports.
    """

    task: Callable[[Settings], Task[Any]]
    export: Callable[[Settings, Task[Any]], Path]
    figure: str


def train(settings: Settings, recipe: Recipe) -> None:
    """Runs the processes of one training and waits for them."""
    settings.out.mkdir(parents=True, exist_ok=True)
    if settings.resume and not (settings.out / "checkpoint.pt").exists():
        raise SystemExit(f"no checkpoint in {settings.out}: start without --resume")
    if not settings.resume:
        (settings.out / "log.jsonl").write_text("")
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        rendezvous = str(Path(folder) / "rendezvous")
        spawn(_run, (settings, recipe, rendezvous), nprocs=settings.processes)  # type: ignore[no-untyped-call]


def _run(rank: int, settings: Settings, recipe: Recipe, rendezvous: str) -> None:
    """The whole life of one process."""
    torch.set_num_threads(1)
    dynamo_settings.recompile_limit = 64  # one graph for each bucket and for each block
    if settings.processes > 1:
        distributed.init_process_group(
            "gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=settings.processes
        )
    training = Training(settings, rank, recipe.task(settings))
    if settings.resume:
        restore(training, settings.out / "checkpoint.pt")
    started = monotonic()
    training.warm_up()
    if rank == 0:
        parameters = sum(weight.numel() for weight in training.model.parameters())
        ready_s = monotonic() - started
        print(
            f"{parameters:,} parameters, ready after {ready_s:.0f} s, {training.spent_s:.0f} s spent before", flush=True
        )
    if settings.processes > 1:
        distributed.barrier()
    _train(training, recipe.figure)
    if rank == 0:
        write(training, settings.out / "checkpoint.pt")
        print(f"wrote {recipe.export(settings, training.task)}", flush=True)
        _describe(training)
    if settings.processes > 1:
        distributed.barrier()
        distributed.destroy_process_group()


def _train(training: Training[Any], figure: str) -> None:
    """Steps until the time is up; process 0 reports and writes checkpoints on the way."""
    before_s, started = training.spent_s, monotonic()
    reported_s = saved_s = training.spent_s
    tokens, figures = training.token_count, list[float]()
    while training.progress < 1.0:
        value, training.spent_s = training.step(before_s + monotonic() - started)
        figures.append(value)
        if training.rank:
            continue
        if training.spent_s - reported_s >= REPORT_EVERY_S or training.progress >= 1.0:
            speed = (training.token_count - tokens) / max(1e-9, training.spent_s - reported_s)
            _report(training, {figure: round(sum(figures) / len(figures), 4)}, speed)
            reported_s, tokens = training.spent_s, training.token_count
            figures.clear()
        if training.spent_s - saved_s >= CHECKPOINT_EVERY_S:
            write(training, training.settings.out / "checkpoint.pt")
            saved_s = training.spent_s


def _report(training: Training[Any], figure: dict[str, float], tokens_per_s: float) -> None:
    row = {
        "seconds": round(training.spent_s, 1), "step": training.step_count, "tokens": training.token_count,
        **figure, "tokens_per_s": round(tokens_per_s),
        "rate": round(schedule.rate(training.progress), 4),
    }  # fmt: skip
    with (training.settings.out / "log.jsonl").open("a") as log:
        log.write(json.dumps(row) + "\n")
    print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)


def _describe(training: Training[Any]) -> None:
    """Says how the weights came about."""
    settings = {
        name: str(value) if isinstance(value, Path) else value for name, value in asdict(training.settings).items()
    }
    spent_s = round(training.spent_s, 1)
    summary = {"tokens": training.token_count, "steps": training.step_count, "seconds": spent_s, "settings": settings}
    (training.settings.out / "training.json").write_text(json.dumps(summary, indent=2) + "\n")
