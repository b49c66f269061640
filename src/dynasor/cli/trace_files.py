"""The recordings that a benchmark is given: files, and folders of them."""

from collections.abc import Sequence
from pathlib import Path

from dynasor.errors import UsageError


def trace_files(traces: Sequence[Path]) -> tuple[Path, ...]:
    """Files as they are, folders as the recordings in them, in the order of their names.

    Raises:
        UsageError: there is no such file, or the folder holds none.
    """
    found: list[Path] = []
    for trace in traces:
        inside = sorted(trace.glob("*.jsonl*")) if trace.is_dir() else [trace]
        if not inside or not inside[0].is_file():
            raise UsageError(f"no such trace: {trace}; name files of recorded samples, or a folder of them")
        found += inside
    return tuple(found)
