"""The tokenizer: byte-level BPE with single digits and a newline that never merges.

The pre-tokenizer is the one that llama.cpp calls `qwen2`, so the same `tokenizer.json` gives the same tokens there and
in Hugging Face transformers. The vocabulary is closed: what the problems' words need, padded to a multiple of 64.
"""

import json
import random
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from training import thinking
from training.problems import problems

END = "<|end|>"
PADDING = "<|pad|>"
VOCABULARY_LIMIT = 1024
_QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'user' %}Question: {{ message['content'] }}\n"
    "{% if enable_thinking is defined and enable_thinking %}"
    + thinking.OPEN
    + "{% else %}Solution:{% endif %}{{ '\\n' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] }}" + END + "{% endif %}{% endfor %}"
)


def prompt(question: str) -> str:
    """The text that the policy continues with a solution."""
    return f"Question: {question}\nSolution:\n"


def thinking_prompt(question: str) -> str:
    """The text that the policy continues with a chain of thought and an answer."""
    return f"Question: {question}\n{thinking.OPEN}\n"


def trained(problem_count: int = 20_000, seed: int = 0) -> Tokenizer:
    """A tokenizer of the generator's words."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN2_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_LIMIT - 4,
        min_frequency=20,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(_lines(problem_count, seed), trainer)
    tokenizer.add_special_tokens([END, PADDING])
    marks = (thinking.OPEN, thinking.CLOSE)
    tokenizer.add_tokens([AddedToken(mark, normalized=False, special=False) for mark in marks])
    spare = -tokenizer.get_vocab_size() % 64
    tokenizer.add_special_tokens([f"<|spare{index}|>" for index in range(spare)])
    return tokenizer


def _lines(problem_count: int, seed: int) -> Iterable[str]:
    """Lines without their newlines: so no merge ever holds one."""
    stream = problems(seed, "train")
    rng = random.Random(f"chains {seed}")
    for _ in range(problem_count):
        drawn = next(stream)
        yield from prompt(drawn.question).splitlines()
        yield from drawn.solution.splitlines()
        yield from thinking.chain(rng, drawn)


def save(tokenizer: Tokenizer, folder: Path) -> None:
    """Writes `tokenizer.json` and `tokenizer_config.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": PADDING,
        "add_bos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 1024,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """The number of a token that the tokenizer has."""
    number: int | None = tokenizer.token_to_id(token)
    if number is None:
        raise KeyError(f"the tokenizer has no token {token}")
    return number


def load(folder: Path) -> Tokenizer:
    """The tokenizer of a folder that `save` wrote."""
    return Tokenizer.from_file(str(folder / "tokenizer.json"))
