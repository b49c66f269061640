"""A file as rows, by its ending. Knows files; knows nothing of problems or of column names."""

import hashlib
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from dynasor.datasets.lines import COMPRESSIONS
from dynasor.datasets.rows import Row
from dynasor.datasets.tables import csv_rows, json_rows, parquet_rows
from dynasor.errors import UnknownName, UsageError

READERS = {"jsonl": json_rows, "csv": csv_rows, "parquet": parquet_rows}
ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".parquet": "parquet"}

_TEXT_ENDINGS = {ending: kind for ending, kind in ENDINGS.items() if kind != "parquet"}
_KINDS = ENDINGS | {e + compression: kind for e, kind in _TEXT_ENDINGS.items() for compression in COMPRESSIONS}

_BUILT_IN = Path(__file__).with_name("recorded")


def found(source: str, sets: Mapping[str, Path] | None = None) -> Path:
    """The path of a file that the user named, or of the recording or set of that name which ships with the package.

    Args:
        source: the user's word.
        sets: names that stand for files, besides those of the recordings.

    Raises `UsageError` where there is neither.
    """
    built_in = {name: _BUILT_IN / f"{name}.jsonl.gz" for name in built_in_names()} | dict(sets or {})
    if source in built_in:
        return built_in[source]
    path = Path(source)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as fault:
        raise UsageError(f"no such file: {source} (built in: {', '.join(built_in)})") from fault
    except (OSError, ValueError) as fault:
        raise UsageError(f"cannot read {source!r}: {fault}") from fault
    if not stat.S_ISREG(mode):
        raise UsageError(f"{source} is {'a directory' if stat.S_ISDIR(mode) else 'not a regular file'}; name a file")
    return path


def built_in_names() -> list[str]:
    """The names of the recordings that ship with the package."""
    return sorted(bare_name(path) for path in _BUILT_IN.glob("*.jsonl.gz"))


def ending_of(path: Path) -> str:
    """The ending that tells the format, with that of the compression: '.jsonl', '.csv.gz', '' where there is none."""
    last = path.suffix.lower()
    return Path(path.stem).suffix.lower() + last if last in COMPRESSIONS else last


def bare_name(path: Path) -> str:
    """The file's name without its ending."""
    return path.name[: len(path.name) - len(ending_of(path))]


def _kind_by_ending(path: Path) -> str:
    ending = ending_of(path)
    if ending not in _KINDS:
        raise UnknownName("file format", ending or path.name, _KINDS)
    return _KINDS[ending]


def file_digest(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes, as they are."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as fault:
        raise UsageError(f"cannot read {path}: {fault.strerror or fault}") from fault


class FileRows:
    """The rows of a file in one of the formats of `READERS`; by its ending, unless `kind` says otherwise."""

    def __init__(self, path: Path, kind: str | None = None) -> None:
        self._path = path
        self._kind = kind or _kind_by_ending(path)

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return bare_name(self._path)

    @property
    def source(self) -> str:
        """The file's path."""
        return str(self._path)

    def __iter__(self) -> Iterator[Row]:
        return READERS[self._kind](self._path)

    def digest(self) -> str:
        """Hexadecimal SHA-256 of the file's bytes, as they are."""
        return file_digest(self._path)
