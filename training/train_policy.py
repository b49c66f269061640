"""Trains the policy for a stated time: `python -m training.train_policy --minutes 45 --out training/out/policy`."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from training import model_folder, run, tokenizer
from training.policy import Shape
from training.policy_task import PolicyTask
from training.trainer import Settings, Task


def _export(settings: Settings, task: Task[Any]) -> Path:
    """Writes the folder that serves: weights, configuration, tokenizer."""
    folder = settings.data / "tokenizer"
    words = tokenizer.load(folder)
    model_folder.save(
        task.model, folder, settings.out / "model",
        end_token=tokenizer.token_id(words, tokenizer.END), pad_token=tokenizer.token_id(words, tokenizer.PADDING),
    )  # fmt: skip
    return settings.out / "model"


LAST_LESSON = {"muon_rate": 0.002, "adam_rate": 4e-4}  # a tenth: it is to keep what it knows
RECIPE = run.Recipe(PolicyTask, _export, "solution_loss")


def has_bf16(cpu: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies bf16 numbers; False where nobody knows."""
    try:
        flags = cpu.read_text().split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def add_options(parser: argparse.ArgumentParser, out: str) -> None:
    """The options that every training has."""
    parser.add_argument("--data", type=Path, default=Path("training/out/data"))
    parser.add_argument("--out", type=Path, default=Path(out))
    parser.add_argument(
        "--minutes", type=float, default=45.0, help="the length of the whole schedule, compiling excluded"
    )
    parser.add_argument("--tokens", type=int, help="end after so many, in place of --minutes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--tokens-per-batch", type=int, default=1536, help="of one process")
    parser.add_argument("--eager", action="store_true", help="do not compile")
    parser.add_argument(
        "--bf16", action=argparse.BooleanOptionalAction, default=has_bf16(),
        help="bf16 autocast: faster with AVX-512 bf16 or AMX, far slower without (default: what this processor has)",
    )  # fmt: skip
    parser.add_argument("--resume", action="store_true", help="go on from OUT/checkpoint.pt")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, "training/out/policy")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--hidden", type=int, default=384)
    parser.add_argument("--kv-heads", type=int, default=2)
    parser.add_argument("--start", type=Path, help="a trained policy's folder: gives it the last lesson, slips")
    given = parser.parse_args()
    words = tokenizer.load(given.data / "tokenizer").get_vocab_size()
    shape = replace(
        Shape(), vocabulary=words, width=given.width, layers=given.layers, heads=given.width // 32,
        hidden=given.hidden, kv_heads=given.kv_heads,
    )  # fmt: skip
    settings = Settings(
        data=given.data, out=given.out, minutes=given.minutes, tokens=given.tokens, seed=given.seed, shape=shape,
        tokens_per_batch=given.tokens_per_batch, processes=given.processes, eager=given.eager,
        resume=given.resume, bf16=given.bf16, start=given.start, **(LAST_LESSON if given.start else {}),
    )  # fmt: skip
    run.train(settings, RECIPE)


if __name__ == "__main__":
    main()
