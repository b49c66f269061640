"""Trains the policy for a stated time: `python -m training.train_policy --minutes 45 --out training/out/policy`.

Two processes of one thread each average their gradients: on shared cores they lose less than two threads of one.
"""

import argparse
import json
import os
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from time import monotonic

import torch
from torch import distributed
from torch._dynamo import config as dynamo_settings
from torch.multiprocessing.spawn import spawn

from training import model_folder, schedule, tokenizer
from training.checkpoint import restore, write
from training.policy import Shape
from training.trainer import Settings, Training

CHECKPOINT_EVERY_S = 120.0
REPORT_EVERY_S = 20.0


def _run(rank: int, settings: Settings, rendezvous: str) -> None:
    """The whole life of one process."""
    torch.set_num_threads(1)
    dynamo_settings.recompile_limit = 64  # one graph for each bucket and for each block
    if settings.processes > 1:
        distributed.init_process_group(
            "gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=settings.processes
        )
    training = Training(settings, rank)
    if settings.resume:
        restore(training, settings.out / "checkpoint.pt")
    started = monotonic()
    training.warm_up()
    if rank == 0:
        parameters = sum(weight.numel() for weight in training.policy.parameters())
        ready_s = monotonic() - started
        print(
            f"{parameters:,} parameters, ready after {ready_s:.0f} s, {training.spent_s:.0f} s spent before", flush=True
        )
    if settings.processes > 1:
        distributed.barrier()
    _train(training)
    if rank == 0:
        write(training, settings.out / "checkpoint.pt")
        _export(training)
    if settings.processes > 1:
        distributed.barrier()
        distributed.destroy_process_group()


def _train(training: Training) -> None:
    """Steps until the time is up; process 0 reports and writes checkpoints on the way."""
    limit_s = training.settings.minutes * 60
    before_s, started = training.spent_s, monotonic()
    reported_s = saved_s = training.spent_s
    tokens, losses = training.token_count, [0.0]
    losses.clear()
    while training.spent_s < limit_s:
        loss, training.spent_s = training.step(before_s + monotonic() - started)
        losses.append(loss)
        if training.rank:
            continue
        if training.spent_s - reported_s >= REPORT_EVERY_S or training.spent_s >= limit_s:
            speed = (training.token_count - tokens) / max(1e-9, training.spent_s - reported_s)
            _report(training, sum(losses) / len(losses), speed)
            reported_s, tokens = training.spent_s, training.token_count
            losses.clear()
        if training.spent_s - saved_s >= CHECKPOINT_EVERY_S:
            write(training, training.settings.out / "checkpoint.pt")
            saved_s = training.spent_s


def _report(training: Training, loss: float, tokens_per_s: float) -> None:
    row = {
        "seconds": round(training.spent_s, 1), "step": training.step_count, "tokens": training.token_count,
        "solution_loss": round(loss, 4), "tokens_per_s": round(tokens_per_s),
        "rate": round(schedule.rate(training.spent_s / (training.settings.minutes * 60)), 4),
    }  # fmt: skip
    with (training.settings.out / "log.jsonl").open("a") as log:
        log.write(json.dumps(row) + "\n")
    print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)


def _export(training: Training) -> None:
    """Writes the folder that serves: weights, configuration, tokenizer, and how it was trained."""
    out, folder = training.settings.out, training.settings.data / "tokenizer"
    words = tokenizer.load(folder)
    model_folder.save(
        training.policy, folder, out / "model",
        end_token=tokenizer.token_id(words, tokenizer.END), pad_token=tokenizer.token_id(words, tokenizer.PADDING),
    )  # fmt: skip
    settings = {
        name: str(value) if isinstance(value, Path) else value for name, value in asdict(training.settings).items()
    }
    spent_s = round(training.spent_s, 1)
    summary = {"tokens": training.token_count, "steps": training.step_count, "seconds": spent_s, "settings": settings}
    (out / "training.json").write_text(json.dumps(summary, indent=2) + "\n")
    print(f"wrote {out / 'model'}", flush=True)


def train(settings: Settings) -> None:
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
        spawn(_run, (settings, rendezvous), nprocs=settings.processes)  # type: ignore[no-untyped-call]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("training/out/data"))
    parser.add_argument("--out", type=Path, default=Path("training/out/policy"))
    parser.add_argument(
        "--minutes", type=float, default=45.0, help="the length of the whole schedule, compiling excluded"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--tokens-per-batch", type=int, default=1536, help="of one process")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--hidden", type=int, default=384)
    parser.add_argument("--kv-heads", type=int, default=2)
    parser.add_argument("--eager", action="store_true", help="do not compile")
    parser.add_argument(
        "--bf16", action="store_true", help="bf16 autocast: faster with AVX-512 or AMX, far slower without"
    )
    parser.add_argument("--resume", action="store_true", help="go on from OUT/checkpoint.pt")
    given = parser.parse_args()
    words = tokenizer.load(given.data / "tokenizer").get_vocab_size()
    shape = replace(
        Shape(), vocabulary=words, width=given.width, layers=given.layers, heads=given.width // 32,
        hidden=given.hidden, kv_heads=given.kv_heads,
    )  # fmt: skip
    train(Settings(
        data=given.data, out=given.out, minutes=given.minutes, seed=given.seed, shape=shape,
        tokens_per_batch=given.tokens_per_batch, processes=given.processes, eager=given.eager,
        resume=given.resume, bf16=given.bf16,
    ))  # fmt: skip


if __name__ == "__main__":
    main()
