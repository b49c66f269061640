"""Evaluates a reward model on recorded samples: `python -m training.evaluate_reward --model training/out/reward/model`.

The samples are those that `training.evaluate` recorded on held-out problems. Beside the model's scores it judges the
policy's own mean log-probability, which costs nothing.
"""

import argparse
import gzip
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training import model_folder, ranking
from training import tokenizer as tokenizing
from training.evaluate import commit
from training.policy import RewardModel

_ROWS = 256
_EXPECTED = 12


@torch.inference_mode()
def scores(model: RewardModel, texts: Sequence[Sequence[int]]) -> list[float]:
    """The score at the last token of each text."""
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    out = [0.0] * len(texts)
    for start in range(0, len(order), _ROWS):
        rows = order[start : start + _ROWS]
        lengths = torch.tensor([len(texts[row]) for row in rows])
        ids = torch.zeros(len(rows), int(lengths.max()), dtype=torch.int64)
        for place, row in enumerate(rows):
            ids[place, : len(texts[row])] = torch.tensor(texts[row])
        last: Tensor = model.rewards(ids)[torch.arange(len(rows)), lengths - 1]
        for row, score in zip(rows, last.tolist(), strict=True):
            out[row] = score
    return out


def scored(model: RewardModel, folder: Path, recording: Sequence[dict[str, Any]]) -> list[ranking.Scored]:
    """Every question of a recording with the model's scores of its finished samples."""
    words = tokenizing.load(folder)
    texts = [
        tokenizing.prompt(question["question"]) + sample["text"] + tokenizing.END
        for question in recording
        for sample in question["samples"]
    ]
    found = iter(scores(model, [encoding.ids for encoding in words.encode_batch(texts)]))
    return [_with(question, [next(found) for _ in question["samples"]]) for question in recording]


def expected(model: RewardModel, folder: Path, recording: Sequence[dict[str, Any]]) -> list[dict[str, object]]:
    """A right and a wrong solution of each of the first questions that have both, with their scores, from 0 to 1."""
    words, out = tokenizing.load(folder), list[dict[str, object]]()
    for question in recording:
        kinds = {sample["correct"]: sample["text"] for sample in question["samples"]}
        if len(kinds) == 2 and len(out) < _EXPECTED:
            texts = [tokenizing.prompt(question["question"]) + kinds[good] + tokenizing.END for good in (True, False)]
            raw = torch.tensor(scores(model, [encoding.ids for encoding in words.encode_batch(texts)]))
            right, wrong = (round(score, 5) for score in raw.sigmoid().tolist())
            out.append({"right": texts[0], "right_score": right, "wrong": texts[1], "wrong_score": wrong})
    return out


def _with(question: dict[str, Any], values: Sequence[float]) -> ranking.Scored:
    return ranking.Scored(question["gold"], tuple(one["answer"] for one in question["samples"]), tuple(values))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("training/out/reward/model"))
    parser.add_argument("--samples", type=Path, default=Path("training/out/evaluation/samples.jsonl.gz"))
    parser.add_argument("--out", type=Path, default=Path("training/out/evaluation/reward.json"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--expected", type=Path, help="where to write a few texts and scores for tests/engines")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with gzip.open(given.samples, "rt") as lines:
        recording = [json.loads(line) for line in lines]
    model = model_folder.load(given.model)
    if not isinstance(model, RewardModel):
        raise SystemExit(f"{given.model} holds no reward model")
    if given.expected:
        given.expected.write_text(json.dumps(expected(model, given.model, recording), indent=1) + "\n")
    free = [_with(question, [one["logprob"] for one in question["samples"]]) for question in recording]
    summary = {
        "reward_model": ranking.summary(scored(model, given.model, recording)),
        "mean_log_probability": ranking.summary(free),
        "command": ["python", "-m", "training.evaluate_reward", *sys.argv[1:]],
        "commit": commit(),
    }
    given.out.write_text(json.dumps(summary, indent=2) + "\n")
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
