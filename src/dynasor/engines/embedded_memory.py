"""Whether a model fits into memory, found out before it is loaded. A lower bound: what it refuses cannot be."""

import os
from pathlib import Path

from dynasor.engines.embedded_file import GgufFile
from dynasor.errors import UsageError

_MEMORY = Path("/proc/meminfo")
_GIB = 1 << 30


def check_memory(file: GgufFile, slots: int, context_tokens: int, available_bytes: int | None) -> None:
    """Refuse a model whose weights and cache are more than the memory that is free.

    Args:
        file: the model.
        slots: requests answered at one time.
        context_tokens: of each slot.
        available_bytes: None where nobody knows; then nothing is refused.

    Raises:
        UsageError: telling what is needed, what there is, and what to lower.
    """
    per_slot = min(context_tokens, file.window_tokens or context_tokens)  # layers that look back less keep less
    cache_bytes = slots * per_slot * file.cache_bytes_per_token
    if available_bytes is None or file.size_bytes + cache_bytes <= available_bytes:
        return
    raise UsageError(
        f"{file.path.name} needs {_gib(file.size_bytes)} for its weights and {_gib(cache_bytes)} for {slots} slots of"
        f" {context_tokens} tokens, and {_gib(available_bytes)} of memory is free;"
        " lower --context or --concurrency, or take a smaller quantization"
    )


def available_bytes(source: Path = _MEMORY) -> int | None:
    """Memory that can be had without swapping; None where the platform does not tell."""
    try:
        for line in source.read_text(encoding="ascii").splitlines():
            name, _, amount = line.partition(":")
            if name == "MemAvailable":
                return int(amount.split()[0]) * 1024
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def _gib(count: int) -> str:
    return f"{count / _GIB:.1f} GiB"
