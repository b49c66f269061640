"""Trains the reward model: `python -m training.train_reward --minutes 30 --out training/out/reward`."""

import argparse
from pathlib import Path
from typing import Any

from training import model_folder, run, tokenizer
from training.reward_task import RewardTask
from training.train_policy import add_options
from training.trainer import Settings, Task


def _export(settings: Settings, task: Task[Any]) -> Path:
    """Writes the folder that serves: weights without the language model's head, configuration, tokenizer."""
    assert settings.start is not None  # noqa: S101  (the task refuses it)
    words = tokenizer.load(settings.start)
    model_folder.save(
        task.model.kept(), settings.start, settings.out / "model",
        end_token=tokenizer.token_id(words, tokenizer.END), pad_token=tokenizer.token_id(words, tokenizer.PADDING),
    )  # fmt: skip
    return settings.out / "model"


RECIPE = run.Recipe(RewardTask, _export, "loss_within_questions")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, "training/out/reward")
    parser.set_defaults(data=Path("training/out/reward-data"), tokens_per_batch=2048)
    parser.add_argument(
        "--policy", type=Path, default=Path("training/out/policy/model"), help="whose weights it starts from"
    )
    given = parser.parse_args()
    settings = Settings(
        data=given.data, out=given.out, minutes=given.minutes, tokens=given.tokens, seed=given.seed, start=given.policy,
        tokens_per_batch=given.tokens_per_batch, processes=given.processes, eager=given.eager,
        resume=given.resume, bf16=given.bf16, muon_rate=0.02, adam_rate=4e-3,
    )  # fmt: skip
    run.train(settings, RECIPE)


if __name__ == "__main__":
    main()
