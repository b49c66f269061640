"""What the reward model learns from: `python -m training.reward_data --model training/out/policy/model`.

Groups of four solutions of one question, right and wrong ones mixed: `sampled` by the policy, and `made` by program.
The labels are exact (training/labels.py). It does not know how a reward model is trained.
"""

import argparse
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from training import model_folder
from training import tokenizer as tokenizing
from training.corruptions import corrupted
from training.labels import judge
from training.problems import WordProblem, problems
from training.sample import Sampling, sample

GROUP = 4
_ATTEMPTS = 24
_CHUNK = 400  # groups, or questions
_SAMPLES = 12  # of a question; many are alike


@dataclass(frozen=True, slots=True)
class Labelled:
    """Solutions end to end, in groups of four: row i is tokens[starts[i]:starts[i + 1]].

    Attributes:
        prompts: how many of its first tokens are the question.
        wrong_from: its first token that is not right; the row's length where all are.
    """

    tokens: NDArray[np.uint16]
    starts: NDArray[np.int64]
    prompts: NDArray[np.int64]
    wrong_from: NDArray[np.int64]


def made_groups(seed: int) -> Iterator[tuple[WordProblem, list[str]]]:
    """The known solution and three wrong ones, for problem after problem."""
    rng = random.Random(f"corruptions {seed}")
    for problem in problems(seed, "train"):
        wrong: set[str] = set()
        for _ in range(_ATTEMPTS):
            text = corrupted(rng, problem)
            if text is not None and (judged := judge(problem, text)).clear and not judged.right:
                wrong.add(text)
            if len(wrong) == GROUP - 1:
                yield problem, [problem.solution, *sorted(wrong)]
                break


def mixed_groups(rng: random.Random, problem: WordProblem, texts: Sequence[str]) -> list[list[str]]:
    """Groups of different samples of a question, each with right and wrong ones; made ones fill what is missing."""
    clear = {text: judged.right for text in texts if (judged := judge(problem, text)).clear}
    right = sorted(text for text, good in clear.items() if good) or [problem.solution]
    wrong = sorted(text for text, good in clear.items() if not good)
    rng.shuffle(right)
    rng.shuffle(wrong)
    for _ in range(_ATTEMPTS):
        if len(wrong) >= GROUP - 1:
            break
        text = corrupted(rng, problem)
        if text is not None and text not in wrong and judge(problem, text).clear:
            wrong.append(text)
    groups: list[list[str]] = []
    while len(wrong) >= GROUP - 1 and len(groups) < 2:
        several = len(right) > 1 and len(wrong) < 2 * (GROUP - 1)
        good, bad = (right[:2], wrong[:2]) if several else (right[:1], wrong[: GROUP - 1])
        groups.append([*good, *bad])
        right, wrong = right[len(good) :] or right[:1], wrong[len(bad) :]
    return groups


def sampled_groups(model: Path, seed: int, questions: int, temperature: float) -> list[tuple[WordProblem, list[str]]]:
    """Groups of the policy's samples on training problems."""
    torch.set_num_threads(1)
    stream, rng = problems(seed, "train"), random.Random(f"groups {seed}")
    policy, words = model_folder.load(model), tokenizing.load(model)
    out: list[tuple[WordProblem, list[str]]] = []
    for chunk in range(0, questions, _CHUNK):
        drawn = [next(stream) for _ in range(min(_CHUNK, questions - chunk))]
        settings = Sampling(temperature=temperature, seed=seed * 10_000 + chunk, max_tokens=200)
        prompts = [tokenizing.prompt(one.question) for one in drawn]
        for index, completions in sample(policy, words, prompts, _SAMPLES, settings):
            texts = [completion.text for completion in completions if completion.ended]
            out += [(drawn[index], group) for group in mixed_groups(rng, drawn[index], texts)]
        print(f"seed {seed}: {chunk + len(drawn)} questions, {len(out)} groups", flush=True)
    return out


def write(folder: Path, words: Tokenizer, groups: Iterator[tuple[WordProblem, list[str]]], most_tokens: int) -> int:
    """Writes whole groups until there are `most_tokens` tokens; gives the tokens written."""
    folder.mkdir(parents=True, exist_ok=True)
    end = tokenizing.token_id(words, tokenizing.END)
    lengths, prompts, wrong_from = list[int](), list[int](), list[int]()
    written = 0
    with (folder / "tokens.bin").open("wb") as out:
        for problem, texts in groups:
            head = words.encode(tokenizing.prompt(problem.question)).ids
            for text in texts:
                tail = words.encode(text)
                place = judge(problem, text).wrong_from
                ids = [*head, *tail.ids, end]
                first = len(ids)
                if place is not None:
                    first = len(head) + sum(after <= place for _, after in tail.offsets)
                out.write(np.asarray(ids, dtype=np.uint16).tobytes())
                lengths.append(len(ids))
                prompts.append(len(head))
                wrong_from.append(first)
                written += len(ids)
            if written >= most_tokens:
                break
    np.save(folder / "starts.npy", np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
    np.save(folder / "prompts.npy", np.asarray(prompts, dtype=np.int64))
    np.save(folder / "wrong_from.npy", np.asarray(wrong_from, dtype=np.int64))
    return written


def read(folder: Path) -> Labelled:
    """What `write` wrote; the tokens stay on disk."""
    tokens = np.memmap(folder / "tokens.bin", dtype=np.uint16, mode="r")
    rest = (np.load(folder / f"{name}.npy") for name in ("starts", "prompts", "wrong_from"))
    return Labelled(tokens, *rest)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("training/out/policy/model"))
    parser.add_argument("--out", type=Path, default=Path("training/out/reward-data"))
    parser.add_argument("--questions", type=int, default=8_000, help="sampled 12 times each")
    parser.add_argument("--temperature", type=float, default=0.9)
    parser.add_argument("--made-tokens", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=100, help="far from the policy's, so that the problems are others")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    words = tokenizing.load(given.model)
    share = given.questions // given.processes
    with ProcessPoolExecutor(given.processes, mp_context=get_context("spawn")) as pool:
        futures = [
            pool.submit(sampled_groups, given.model, given.seed + 1 + rank, share, given.temperature)
            for rank in range(given.processes)
        ]
        made = write(given.out / "made", words, made_groups(given.seed), given.made_tokens)
        groups = [group for future in futures for group in future.result()]
    random.Random(given.seed).shuffle(groups)
    sampled = write(given.out / "sampled", words, iter(groups), 1 << 60)
    print(f"made: {made} tokens, sampled: {sampled} tokens, {len(groups)} groups")


if __name__ == "__main__":
    main()
