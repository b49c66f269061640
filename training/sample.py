"""Samples many solutions at once from a policy: `python -m training.sample --model training/out/policy/model`.

It does not know how the policy is run, nor what is right.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from training import model_folder
from training import tokenizer as tokenizing
from training.cache import Rows
from training.policy import Policy
from training.problems import held_out

_KEEP_ALL_ABOVE = 0.75  # a share of running rows: copying the cache at every ended row would cost more than it saves


@dataclass(frozen=True, slots=True)
class Completion:
    """One sample: its text, its tokens (the end token included) and their mean log-probability at temperature 1."""

    text: str
    token_count: int
    mean_logprob: float
    ended: bool


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample; temperature 0 takes the likeliest token."""

    temperature: float = 0.8
    max_tokens: int = 320
    seed: int = 0
    rows: int = 512  # sampled at a time


@torch.inference_mode()
def sample(
    policy: Policy, tokenizer: Tokenizer, prompts: Sequence[str], count: int, settings: Sampling
) -> Iterator[tuple[int, list[Completion]]]:
    """Yields the index of each prompt and its `count` completions, prompts of like length together.

    The same seed and settings give the same samples.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    end = tokenizing.token_id(tokenizer, tokenizing.END)
    heads = [encoding.ids for encoding in tokenizer.encode_batch(list(prompts))]
    order = sorted(range(len(heads)), key=lambda index: len(heads[index]))
    at_once = max(1, settings.rows // count)
    for start in range(0, len(order), at_once):
        group = order[start : start + at_once]
        rows = Rows(policy, [heads[index] for index in group], count=count, room=settings.max_tokens)
        written = [
            _completion(tokenizer, ids, logprob, end) for ids, logprob in _written(rows, end, settings, generator)
        ]
        for place, index in enumerate(group):
            yield index, written[place * count : (place + 1) * count]


def _written(rows: Rows, end: int, settings: Sampling, generator: torch.Generator) -> Iterator[tuple[list[int], float]]:
    """What each row writes: its tokens and the sum of their log-probabilities."""
    tokens: list[list[int]] = [[] for _ in rows.numbers]
    logprobs = torch.zeros(len(tokens))
    running = torch.ones(len(tokens), dtype=torch.bool)
    for _ in range(settings.max_tokens):
        chosen = _chosen(rows.logits, settings.temperature, generator)
        gained = rows.logits.log_softmax(-1).gather(1, chosen[:, None])[:, 0]
        logprobs[rows.numbers[running]] += gained[running]
        for number, token in zip(rows.numbers[running].tolist(), chosen[running].tolist(), strict=True):
            tokens[number].append(token)
        running &= chosen != end
        if not running.any():
            break
        if running.float().mean() <= _KEEP_ALL_ABOVE:
            kept = running.nonzero()[:, 0]
            rows.keep(kept)
            chosen, running = chosen[kept], running[kept]
        rows.read(chosen)
    yield from zip(tokens, logprobs.tolist(), strict=True)


def _chosen(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    if temperature == 0:
        return logits.argmax(-1)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]


def _completion(tokenizer: Tokenizer, ids: list[int], logprob: float, end: int) -> Completion:
    ended = ids[-1] == end
    text = tokenizer.decode(ids[:-1] if ended else ids, skip_special_tokens=False)
    return Completion(text, len(ids), logprob / len(ids), ended)


def main() -> None:
    """The command line: shows samples of a few held-out questions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("training/out/policy/model"))
    parser.add_argument("--problems", type=int, default=3)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--thinking", action="store_true", help="chains of thought instead of solutions")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    drawn = held_out(given.seed, "test", given.problems)
    settings = Sampling(temperature=given.temperature, seed=given.seed)
    words = tokenizing.load(given.model)
    make = tokenizing.thinking_prompt if given.thinking else tokenizing.prompt
    prompts = [make(one.question) for one in drawn]
    for index, completions in sample(model_folder.load(given.model), words, prompts, given.samples, settings):
        print(f"\n{prompts[index]}  [{drawn[index].answer}]")
        for completion in completions:
            print(f"--- {completion.token_count} tokens, mean log-probability {completion.mean_logprob:.3f}")
            print(completion.text)


if __name__ == "__main__":
    main()
