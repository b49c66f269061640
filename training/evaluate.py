"""Evaluates a policy on held-out problems: `python -m training.evaluate --model training/out/policy/model`.

Writes `samples.jsonl.gz`, a recording that `dynasor run --trace` replays, and `summary.json` with the figures and how
they came about.
"""

import argparse
import gzip
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import torch

from training import figures, model_folder, tokenizer
from training.problems import FULL_MIX, Mix, WordProblem, held_out
from training.sample import Completion, Sampling, sample


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A problem and the policy's samples."""

    problem: WordProblem
    completions: tuple[Completion, ...]

    def answered(self) -> figures.Answered:
        """What the figures need of it."""
        return figures.Answered(
            gold=str(self.problem.answer),
            answers=tuple(figures.answer_in(completion.text) for completion in self.completions),
            token_counts=tuple(completion.token_count for completion in self.completions),
            step_count=self.problem.step_count,
            tier=self.problem.tier,
        )


def sampled(
    model: Path, problems: Sequence[WordProblem], count: int, settings: Sampling, *, thinking: bool = False
) -> list[Evaluated]:
    """`count` samples of every problem, in the problems' order."""
    words, started = tokenizer.load(model), monotonic()
    found: dict[int, Evaluated] = {}
    make = tokenizer.thinking_prompt if thinking else tokenizer.prompt
    prompts = [make(problem.question) for problem in problems]
    for index, completions in sample(model_folder.load(model), words, prompts, count, settings):
        found[index] = Evaluated(problems[index], tuple(completions))
        tokens = sum(completion.token_count for completion in completions)
        print(
            f"{len(found)} of {len(problems)} problems, {monotonic() - started:.0f} s, {tokens} tokens",
            end="\r",
            flush=True,
        )
    print()
    return [found[index] for index in range(len(problems))]


def write_recording(path: Path, evaluated: Iterable[Evaluated], model: str) -> None:
    """Writes one question a line; the same samples give the same bytes."""
    with path.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as out:
        for number, one in enumerate(evaluated):
            out.write(json.dumps(_line(number, one, model)).encode() + b"\n")


def _line(number: int, one: Evaluated, model: str) -> dict[str, object]:
    gold = str(one.problem.answer)
    return {
        "id": f"words-{number:04}", "question": one.problem.question, "gold": gold, "model": model,
        "step_count": one.problem.step_count, "tier": one.problem.tier,
        "samples": [
            {
                "answer": (answer := figures.answer_in(completion.text)), "tokens": completion.token_count,
                "correct": answer == gold, "logprob": round(completion.mean_logprob, 5), "text": completion.text,
            }
            for completion in one.completions
        ],
    }  # fmt: skip


def commit() -> str | None:
    """The commit of the checkout, with a plus sign where files differ from it."""
    try:
        asked = ["git", "describe", "--always", "--abbrev=40", "--dirty=+"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - a fixed command
    except (OSError, subprocess.CalledProcessError):
        return None


def weights(text: str) -> tuple[float, ...]:
    """`1,2,0.5` as numbers."""
    return tuple(float(part) for part in text.split(","))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("training/out/policy/model"))
    parser.add_argument("--out", type=Path, default=Path("training/out/evaluation"))
    parser.add_argument("--split", choices=("test", "calibration"), default="test")
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument(
        "--steps", type=weights, default=FULL_MIX.step_weights, help="weights of 1, 2, ... steps: 1,1,1,1"
    )
    parser.add_argument(
        "--tiers", type=weights, default=FULL_MIX.tier_weights, help="weights of the operand tiers: 1,1,1"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--thinking", action="store_true", help="chains of thought instead of solutions")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.out.mkdir(parents=True, exist_ok=True)
    problems = held_out(given.seed, given.split, given.problems, Mix(given.steps, given.tiers))
    settings = Sampling(temperature=given.temperature, seed=given.seed, max_tokens=448 if given.thinking else 320)
    evaluated = sampled(given.model, problems, given.samples, settings, thinking=given.thinking)
    write_recording(given.out / "samples.jsonl.gz", evaluated, given.model.parent.name)
    summary = {
        **figures.summary([one.answered() for one in evaluated], given.seed),
        "temperature": given.temperature, "thinking": given.thinking, "split": given.split, "seed": given.seed,
        "steps": given.steps, "tiers": given.tiers, "command": ["python", "-m", "training.evaluate", *sys.argv[1:]],
        "commit": commit(),
    }  # fmt: skip
    (given.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
