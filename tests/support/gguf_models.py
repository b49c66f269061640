"""GGUF files for tests, written by hand: bare headers, and a Llama whose hidden states are known without running it."""

from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path
from random import Random
from struct import pack

Value = int | float | str | list[int] | list[str]
Tensor = tuple[Sequence[int], Sequence[float]]
"""Its shape, the fastest dimension first, and its numbers."""

ALIGNMENT = 32
WIDTH = 32
EPSILON = 1e-5


def gguf_header(
    metadata: Mapping[str, Value], tensors: Mapping[str, Tensor] | None = None, *, version: int = 3
) -> bytes:
    """The bytes of a GGUF file up to its tensors; whole numbers have 32 bits, in arrays a sign too."""
    pairs = b"".join(_text(key) + _value(value) for key, value in metadata.items())
    places, offset = b"", 0
    for name, (shape, numbers) in (tensors or {}).items():
        places += _text(name) + pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, offset)
        offset += -(-4 * len(numbers) // ALIGNMENT) * ALIGNMENT
    return b"GGUF" + pack("<IQQ", version, len(tensors or {}), len(metadata)) + pairs + places


def write_gguf(path: Path, metadata: Mapping[str, Value], tensors: Mapping[str, Tensor] | None = None) -> Path:
    written = _padded(gguf_header(metadata, tensors)) if tensors else gguf_header(metadata)
    for _, numbers in (tensors or {}).values():
        written += _padded(pack(f"<{len(numbers)}f", *numbers))
    path.write_bytes(written)
    return path


LLAMA: Mapping[str, Value] = {
    "general.architecture": "llama",
    "llama.context_length": 8192,
    "llama.embedding_length": 64,
    "llama.block_count": 3,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
}


class LastTokenModel:
    """A Llama with a layer that adds nothing: its state at a token is that token's embedding, normalised.

    Its tokens are the letters of `letters`, so that a text has as many tokens as characters, and `end`.
    """

    letters = "abcdefgh"
    end = "<end>"

    def __init__(self) -> None:
        rng = Random(0)
        self._embeddings = [[rng.uniform(-1, 1) for _ in range(WIDTH)] for _ in range(len(self.letters) + 1)]

    def state(self, text: str) -> list[float]:
        row = self._embeddings[-1 if text.endswith(self.end) else self.letters.index(text[-1])]
        size = sqrt(sum(number * number for number in row) / WIDTH + EPSILON)
        return [number / size for number in row]

    def write(self, path: Path) -> Path:
        size = len(self.letters) + 1
        metadata: dict[str, Value] = {
            "general.architecture": "llama",
            "llama.context_length": 256,
            "llama.embedding_length": WIDTH,
            "llama.block_count": 1,
            "llama.feed_forward_length": WIDTH,
            "llama.attention.head_count": 1,
            "llama.attention.head_count_kv": 1,
            "llama.attention.layer_norm_rms_epsilon": EPSILON,
            "llama.rope.dimension_count": WIDTH,
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": "qwen2",
            "tokenizer.ggml.tokens": [*self.letters, self.end],
            "tokenizer.ggml.token_type": [1] * len(self.letters) + [3],
            "tokenizer.ggml.merges": ["a b"],
            "tokenizer.ggml.eos_token_id": size - 1,
        }
        square, ones = [0.0] * WIDTH * WIDTH, [1.0] * WIDTH
        tensors: dict[str, Tensor] = {
            "token_embd.weight": ((WIDTH, size), [number for row in self._embeddings for number in row]),
            "output_norm.weight": ((WIDTH,), ones),
            "output.weight": ((WIDTH, size), [0.0] * WIDTH * size),
            "blk.0.attn_norm.weight": ((WIDTH,), ones),
            "blk.0.ffn_norm.weight": ((WIDTH,), ones),
        }
        for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
            tensors[f"blk.0.{name}.weight"] = ((WIDTH, WIDTH), square)
        return write_gguf(path, metadata, tensors)


def _value(value: Value) -> bytes:
    if isinstance(value, int):
        return pack("<II", 4, value)
    if isinstance(value, float):
        return pack("<If", 6, value)
    if isinstance(value, str):
        return pack("<I", 8) + _text(value)
    kind = 8 if isinstance(value[0], str) else 5
    items = [_text(item) if isinstance(item, str) else pack("<I", item) for item in value]
    return pack("<IIQ", 9, kind, len(value)) + b"".join(items)


def _text(text: str) -> bytes:
    return pack("<Q", len(text.encode())) + text.encode()


def _padded(written: bytes) -> bytes:
    return written + b"\0" * (-len(written) % ALIGNMENT)
