import re
from pathlib import Path
from typing import Any

import pytest

from dynasor.engines import builtin
from dynasor.engines.embedded_file import GgufFile, read_gguf
from dynasor.engines.embedded_memory import available_bytes, check_memory
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.errors import UsageError
from support.gguf_models import LLAMA, gguf_header, write_gguf

GIB = 1 << 30


def read(path: Path, **metadata: Any) -> GgufFile:
    return read_gguf(
        write_gguf(path / "m.gguf", {**LLAMA, **{f"llama.{key}": value for key, value in metadata.items()}})
    )


def test_the_header_of_the_built_in_model() -> None:
    file = read_gguf(builtin.policy_gguf())
    assert (file.trained_tokens, file.width, file.window_tokens) == (1024, 128, None)
    assert file.has_chat_template
    assert file.cache_bytes_per_token == 6 * 2 * (32 + 32) * 2, "layers, key-value heads, widths, bytes"
    assert file.size_bytes == builtin.policy_gguf().stat().st_size


def test_long_arrays_are_passed_over(tmp_path: Path) -> None:
    metadata: Any = {"words": ["w"] * 5000, "numbers": [7] * 5000, "few": [1, 2], **LLAMA}
    file = read_gguf(write_gguf(tmp_path / "m.gguf", metadata))
    assert file.metadata == {"few": [1, 2], **LLAMA}


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, 3 * 2 * (16 + 16) * 2),
        ({"attention.key_length": 24, "attention.value_length": 8}, 3 * 2 * (24 + 8) * 2),
        ({"attention.head_count_kv": [2, 0, 1]}, 3 * (16 + 16) * 2),
        ({"attention.head_count": 0, "attention.head_count_kv": 0}, 0),
    ],
)
def test_what_a_token_takes_in_the_cache(tmp_path: Path, metadata: dict[str, Any], expected: int) -> None:
    assert read(tmp_path, **metadata).cache_bytes_per_token == expected


@pytest.mark.parametrize(("trained", "asked", "given"), [(8192, None, 4096), (512, None, 512), (8192, 300, 512)])
def test_the_context_of_a_slot(tmp_path: Path, trained: int, asked: int | None, given: int) -> None:
    model = EmbeddedModel(Path("m.gguf"), context_tokens=asked)
    assert read(tmp_path, context_length=trained).context_tokens(model) == given


def test_a_context_beyond_what_the_model_was_trained_for_is_refused(tmp_path: Path) -> None:
    message = r"^the context is 9000 tokens, and m\.gguf was trained for 8192; lower --context$"
    with pytest.raises(UsageError, match=message):
        read(tmp_path).context_tokens(EmbeddedModel(Path("m.gguf"), context_tokens=9000))


def test_a_fingerprint_tells_models_apart_wherever_they_differ(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "m.gguf", LLAMA)
    whole = file.read_bytes() + bytes(1 << 20)
    told = set()
    for changed in (None, 0, len(whole) // 2, -1):
        torn = bytearray(whole)
        if changed is not None:
            torn[changed] ^= 1
        file.write_bytes(torn)
        told.add(GgufFile(file, len(torn), {}).fingerprint())
    assert len(told) == 4
    assert all(re.fullmatch(rf"m\.gguf \({len(whole)} bytes, [0-9a-f]{{12}}\)", name) for name in told)


HEADER = gguf_header(LLAMA)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello", "is not a GGUF file; convert the model with llama.cpp's convert_hf_to_gguf.py"),
        (b"", "is not a GGUF file"),
        (b"GGUF", "is a torn GGUF file: its header cannot be read; fetch it again"),
        (HEADER[:100], "is a torn GGUF file"),
        (HEADER[:-1], "is a torn GGUF file"),
        (HEADER[:24] + b"\xff" * 64, "is a torn GGUF file"),
        (gguf_header(LLAMA, version=9), "is a GGUF file of version 9, and 2 and 3 are known; convert the model again"),
    ],
    ids=range(7),
)
def test_what_is_no_gguf_file_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(UsageError, match=re.escape(f"m.gguf {message}")):
        read_gguf(tmp_path / "m.gguf")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^no such file: .*gone\.gguf; --model takes a GGUF file, or builtin$"):
        read_gguf(tmp_path / "gone.gguf")
    with pytest.raises(UsageError, match=r"^cannot read .*: Is a directory$"):
        read_gguf(tmp_path)


class TestMemory:
    """A model of 2 GiB whose cache takes 384 bytes a token: 8 slots of 699,051 tokens are 2 GiB more."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> GgufFile:
        return GgufFile(Path("big.gguf"), 2 * GIB, LLAMA)

    @pytest.mark.parametrize("available", [None, 4 * GIB + (1 << 12)])
    def test_enough(self, file: GgufFile, available: int | None) -> None:
        check_memory(file, 8, 699_051, available)

    def test_too_little(self, file: GgufFile) -> None:
        with pytest.raises(UsageError) as refused:
            check_memory(file, 8, 699_051, 4 * GIB - 1)
        assert str(refused.value) == (
            "big.gguf needs 2.0 GiB for its weights and 2.0 GiB for 8 slots of 699051 tokens, and 4.0 GiB of memory is"
            " free; lower --context or --concurrency, or take a smaller quantization"
        )

    def test_layers_that_look_back_less_keep_less(self, file: GgufFile) -> None:
        windowed = GgufFile(file.path, file.size_bytes, {**LLAMA, "llama.attention.sliding_window": 512})
        check_memory(windowed, 8, 699_051, 3 * GIB)

    def test_what_is_available(self, tmp_path: Path) -> None:
        (tmp_path / "meminfo").write_text("MemTotal:  24683520 kB\nMemAvailable:   1024 kB\n")
        assert available_bytes(tmp_path / "meminfo") == 1 << 20
        elsewhere = available_bytes(tmp_path / "gone")
        assert elsewhere is None or elsewhere > 0
