"""Training tokens on disk: `python -m training.data --out training/out/data` makes the tokenizer and the sections.

`easy` is for the start of training (few steps and much bare arithmetic), `full` for the rest, `erring` for the last
lesson. It does not know how a model is trained.
"""

import argparse
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from training import thinking
from training import tokenizer as tokenizing
from training.erring import erring
from training.problems import EASY_MIX, FULL_MIX, Mix, WordProblem, problems

Writer = Callable[[random.Random, WordProblem], str]
SECTIONS: dict[str, tuple[Mix, float, float, Writer]] = {  # problem mix, share of drill, share of tokens, solutions
    "easy": (EASY_MIX, 0.25, 0.13, lambda _, problem: problem.solution),
    "full": (FULL_MIX, 0.06, 0.77, lambda _, problem: problem.solution),
    "erring": (FULL_MIX, 0.0, 0.10, erring),
}
_THINKING_SHARE = 0.25  # of the problems
_CHUNK = 2_000


@dataclass(frozen=True, slots=True)
class Section:
    """Documents end to end: document i is tokens[starts[i]:starts[i + 1]], its first prompts[i] tokens the question."""

    tokens: NDArray[np.uint16]
    starts: NDArray[np.int64]
    prompts: NDArray[np.int64]


def drill(rng: random.Random) -> tuple[str, str]:
    """One bare calculation as a question and its solution, in the wording of the steps."""
    top = rng.choice((9, 30, 99, 300, 999))
    kind = rng.choice("+-*/")
    one, two = rng.randint(2, top), rng.randint(2, top)
    if kind in "*/":
        one, two = rng.randint(2, min(top, 99)), rng.randint(2, 30)
        one = min(one, 999 // two)
    if kind == "-":
        one, two = max(one, two), min(one, two)
    if kind == "/":
        one *= two
    value = {"+": one + two, "-": one - two, "*": one * two, "/": one // two}[kind]
    return f"What is {one}{kind}{two}?", f"It is {one}{kind}{two}={value} all in all\nThe answer is {value}"


def documents(seed: int, mix: Mix, drill_share: float, write: Writer) -> Iterator[tuple[str, str]]:
    """Prompts and what follows them, without end: solutions, chains of thought and bare calculations."""
    rng = random.Random(f"documents {seed}")
    stream = problems(seed, "train", mix)
    while True:
        if rng.random() < drill_share:
            question, solution = drill(rng)
            yield tokenizing.prompt(question), solution
            continue
        drawn = next(stream)
        if rng.random() < _THINKING_SHARE:
            yield tokenizing.thinking_prompt(drawn.question), thinking.thought(rng, drawn)
        else:
            yield tokenizing.prompt(drawn.question), write(rng, drawn)


def write_section(folder: Path, tokenizer: Tokenizer, stream: Iterator[tuple[str, str]], token_count: int) -> int:
    """Writes documents of at least `token_count` tokens in all; gives the tokens written."""
    folder.mkdir(parents=True, exist_ok=True)
    end = tokenizing.token_id(tokenizer, tokenizing.END)
    lengths: list[int] = []
    prompts: list[int] = []
    written = 0
    with (folder / "tokens.bin").open("wb") as out:
        while written < token_count:
            texts = [next(stream) for _ in range(_CHUNK)]
            heads = tokenizer.encode_batch([prompt for prompt, _ in texts])
            tails = tokenizer.encode_batch([text for _, text in texts])
            for head, tail in zip(heads, tails, strict=True):
                ids = [*head.ids, *tail.ids, end]
                out.write(np.asarray(ids, dtype=np.uint16).tobytes())
                lengths.append(len(ids))
                prompts.append(len(head.ids))
                written += len(ids)
    np.save(folder / "starts.npy", np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
    np.save(folder / "prompts.npy", np.asarray(prompts, dtype=np.int64))
    return written


def read_section(folder: Path) -> Section:
    """A section that `write_section` wrote; the tokens stay on disk."""
    tokens = np.memmap(folder / "tokens.bin", dtype=np.uint16, mode="r")
    return Section(tokens, np.load(folder / "starts.npy"), np.load(folder / "prompts.npy"))


def make(out: Path, token_count: int, seed: int) -> None:
    """Writes the tokenizer and every section below `out`."""
    tokenizer = tokenizing.trained(seed=seed)
    tokenizing.save(tokenizer, out / "tokenizer")
    print(f"tokenizer: {tokenizer.get_vocab_size()} tokens", flush=True)
    for index, (name, (mix, drill_share, share, write)) in enumerate(SECTIONS.items()):
        stream = documents(seed * len(SECTIONS) + index, mix, drill_share, write)
        written = write_section(out / name, tokenizer, stream, int(token_count * share))
        print(f"{name}: {written} tokens", flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("training/out/data"))
    parser.add_argument("--tokens", type=int, default=36_000_000, help="tokens of all sections together")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    make(arguments.out, arguments.tokens, arguments.seed)


if __name__ == "__main__":
    main()
