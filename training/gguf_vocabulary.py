"""A tokenizer's folder as llama.cpp wants to be told of it. It knows no model and writes no file."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gguf import TokenType


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A byte-level BPE: token i is `tokens[i]`, of the kind `types[i]`.

    Attributes:
        merges: pairs joined by a space, the earliest first.
        end, padding: the numbers of these tokens.
        chat_template: Jinja.
    """

    tokens: list[str]
    types: list[int]
    merges: list[str]
    end: int
    padding: int
    chat_template: str


def vocabulary(folder: Path) -> Vocabulary:
    """Reads `tokenizer.json` and `tokenizer_config.json`.

    Raises:
        ValueError: where the numbers of the tokens have gaps, or it is no byte-level BPE without a beginning token.
    """
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    if tokenizer["model"]["type"] != "BPE" or tokenizer["model"]["byte_fallback"] or config.get("add_bos_token"):
        raise ValueError(f"{folder} holds no byte-level BPE without a beginning token")
    pieces: dict[str, int] = tokenizer["model"]["vocab"]
    kinds = dict.fromkeys(pieces.values(), int(TokenType.NORMAL))
    texts = {number: piece for piece, number in pieces.items()}
    for added in tokenizer["added_tokens"]:
        texts[added["id"]] = added["content"]
        kinds[added["id"]] = int(TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED)
    if sorted(texts) != list(range(len(texts))):
        raise ValueError(f"the tokens of {folder} are not numbered from 0 on without gaps")
    numbers = {text: number for number, text in texts.items()}
    return Vocabulary(
        tokens=[texts[number] for number in range(len(texts))],
        types=[kinds[number] for number in range(len(texts))],
        merges=[_merge(pair) for pair in tokenizer["model"]["merges"]],
        end=numbers[_text(config["eos_token"])],
        padding=numbers[_text(config["pad_token"])],
        chat_template=config["chat_template"],
    )


def _merge(pair: str | list[str]) -> str:
    """Older files join the two parts by a space themselves."""
    return pair if isinstance(pair, str) else " ".join(pair)


def _text(token: str | dict[str, Any]) -> str:
    """A special token is named by its text, or by an object that holds it."""
    return token if isinstance(token, str) else str(token["content"])
