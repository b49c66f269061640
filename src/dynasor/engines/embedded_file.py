"""What a GGUF file says of itself: its header is read, its weights are not.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from struct import Struct, error
from typing import BinaryIO, Final

from dynasor.engines.embedded_model import CONTEXT_STEP, LONGEST_DEFAULT_CONTEXT, EmbeddedModel
from dynasor.errors import UsageError

_NUMBERS: Final = {
    kind: Struct("<" + code)
    for kind, code in {
        0: "B",
        1: "b",
        2: "H",
        3: "h",
        4: "I",
        5: "i",
        6: "f",
        7: "?",
        10: "Q",
        11: "q",
        12: "d",
    }.items()
}
_STRING: Final = 8
_ARRAY: Final = 9
_LONGEST_KEPT: Final = 1 << 12  # items; vocabularies are longer, and passed over
_SAMPLE_COUNT: Final = 64
_SAMPLE_BYTES: Final = 1 << 16

Value = bool | int | float | str | Sequence[object]


@dataclass(frozen=True, slots=True)
class GgufFile:
    """A GGUF file and its metadata, long arrays such as the vocabulary left out."""

    path: Path
    size_bytes: int
    metadata: Mapping[str, Value]

    @property
    def has_chat_template(self) -> bool:
        """Whether it tells how a conversation becomes text."""
        return bool(self.metadata.get("tokenizer.chat_template"))

    @property
    def trained_tokens(self) -> int | None:
        """The longest text that it was trained for; None where it does not tell."""
        return self._number("context_length")

    @property
    def width(self) -> int | None:
        """How many numbers a hidden state has; None where it does not tell."""
        return self._number("embedding_length")

    @property
    def cache_bytes_per_token(self) -> int:
        """What a token takes in a cache of 16-bit keys and values; 0 where the file does not tell."""
        layers, heads = self._number("block_count") or 0, self._number("attention.head_count") or 0
        width = (self.width or 0) // heads if heads else 0
        both = (self._number("attention.key_length") or width) + (self._number("attention.value_length") or width)
        shared = self._of("attention.head_count_kv")
        if isinstance(shared, Sequence) and not isinstance(shared, str):
            per_layer = sum(number for number in shared if isinstance(number, int))
        else:
            per_layer = layers * (shared if isinstance(shared, int) else heads)
        return 2 * both * per_layer

    @property
    def window_tokens(self) -> int | None:
        """How far back some or all of its layers look; None where all look back to the beginning."""
        return self._number("attention.sliding_window") or None

    def context_tokens(self, model: EmbeddedModel) -> int:
        """The context of a slot.

        Raises:
            UsageError: it is asked to be longer than what the model was trained for.
        """
        trained = self.trained_tokens
        if model.context_tokens is None:
            return min(trained or LONGEST_DEFAULT_CONTEXT, LONGEST_DEFAULT_CONTEXT)
        if trained is not None and model.context_tokens > trained:
            raise UsageError(
                f"the context is {model.context_tokens} tokens, and {self.path.name} was trained for {trained};"
                " lower --context"
            )
        return -(-model.context_tokens // CONTEXT_STEP) * CONTEXT_STEP

    def fingerprint(self) -> str:
        """Name, size and a digest of samples from the whole file, in milliseconds whatever its size.

        Two models differ in nearly all of their weights, and so in the samples.
        """
        digest = sha256(str(self.size_bytes).encode())
        with self.path.open("rb") as opened:
            for number in range(_SAMPLE_COUNT):
                opened.seek(max(0, self.size_bytes - _SAMPLE_BYTES) * number // (_SAMPLE_COUNT - 1))
                digest.update(opened.read(_SAMPLE_BYTES))
        return f"{self.path.name} ({self.size_bytes} bytes, {digest.hexdigest()[:12]})"

    def _of(self, name: str) -> Value | None:
        return self.metadata.get(f"{self.metadata.get('general.architecture')}.{name}")

    def _number(self, name: str) -> int | None:
        value = self._of(name)
        return value if isinstance(value, int) else None


def read_gguf(path: Path) -> GgufFile:
    """Read the header of a GGUF file.

    Raises:
        UsageError: there is none, or it is torn.
    """
    try:
        with path.open("rb") as opened:
            return GgufFile(path, path.stat().st_size, _metadata(opened, path))
    except FileNotFoundError as fault:
        raise UsageError(f"no such file: {path}; --model takes a GGUF file, or builtin") from fault
    except OSError as fault:
        raise UsageError(f"cannot read {path}: {fault.strerror}") from fault
    except (error, KeyError, UnicodeDecodeError, OverflowError, MemoryError) as fault:
        raise UsageError(f"{path} is a torn GGUF file: its header cannot be read; fetch it again") from fault


def _metadata(opened: BinaryIO, path: Path) -> dict[str, Value]:
    if opened.read(4) != b"GGUF":
        raise UsageError(f"{path} is not a GGUF file; convert the model with llama.cpp's convert_hf_to_gguf.py")
    version = _number(opened, 4)
    if version not in (2, 3):
        raise UsageError(f"{path} is a GGUF file of version {version}, and 2 and 3 are known; convert the model again")
    _, count = _number(opened, 10), _number(opened, 10)
    metadata: dict[str, Value] = {}
    for _ in range(count):
        key = _text(opened)
        value = _value(opened, _number(opened, 4))
        if value is not None:
            metadata[key] = value
    return metadata


def _value(opened: BinaryIO, kind: int) -> Value | None:
    """A value; None for an array that is too long to be of interest."""
    if kind == _STRING:
        return _text(opened)
    if kind != _ARRAY:
        number: bool | int | float = _NUMBERS[kind].unpack(opened.read(_NUMBERS[kind].size))[0]
        return number
    kind, count = _number(opened, 4), _number(opened, 10)
    if count <= _LONGEST_KEPT:
        return [_value(opened, kind) for _ in range(count)]
    if kind in _NUMBERS:
        opened.seek(count * _NUMBERS[kind].size, 1)
    else:
        for _ in range(count):
            opened.seek(_number(opened, 10), 1)
    return None


def _number(opened: BinaryIO, kind: int) -> int:
    number: int = _NUMBERS[kind].unpack(opened.read(_NUMBERS[kind].size))[0]
    return number


def _text(opened: BinaryIO) -> str:
    length = _number(opened, 10)
    text = opened.read(length)
    if len(text) < length:
        raise error
    return text.decode()
