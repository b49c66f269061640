"""The likeliest continuations of prompts by Hugging Face transformers in float32, which the others are held against.

It does not know the other backends.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

Tokens = list[int]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as text and as tokens."""

    text: str
    tokens: Tokens


class Reference:
    """A model of a folder in Hugging Face's layout, its weights widened to float32."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(str(folder))
        self.model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32).eval()

    @property
    def end(self) -> int:
        """The number of the end token."""
        return int(self.tokenizer.eos_token_id)

    def prompts(self, questions: Sequence[str], *, thinking: bool) -> list[Prompt]:
        """What the chat template makes of each question."""
        texts = [
            self.tokenizer.apply_chat_template(
                [{"role": "user", "content": question}],
                tokenize=False,
                add_generation_prompt=True,
                enable_thinking=thinking,
            )
            for question in questions
        ]
        return [Prompt(text, self.tokenizer(text)["input_ids"]) for text in texts]

    @torch.inference_mode()
    def continuations(self, prompts: Sequence[Prompt], max_tokens: int) -> list[Tokens]:
        """The likeliest tokens after each prompt, the end token included; prompts of one length together, unpadded."""
        lengths: defaultdict[int, list[int]] = defaultdict(list)
        for index, prompt in enumerate(prompts):
            lengths[len(prompt.tokens)].append(index)
        written: dict[int, Tokens] = {}
        for length, indices in lengths.items():
            ids = torch.tensor([prompts[index].tokens for index in indices])
            rows = self.model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, temperature=None, max_new_tokens=max_tokens
            )
            for index, row in zip(indices, rows[:, length:].tolist(), strict=True):
                written[index] = row[: row.index(self.end) + 1] if self.end in row else row
        return [written[index] for index in range(len(prompts))]

    @torch.inference_mode()
    def gap(self, context: Tokens, one: int, two: int) -> float:
        """The distance of the logits of two tokens after `context`."""
        logits = self.model(torch.tensor([context])).logits[0, -1]
        return float(abs(logits[one] - logits[two]))
