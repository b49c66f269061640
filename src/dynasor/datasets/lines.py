"""The physical lines of a text file, compressed or not, with their numbers. Knows nothing of what is on the lines."""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from dynasor.datasets.extras import optional
from dynasor.errors import BadRow, UsageError

COMPRESSIONS = (".gz", ".zst")

_CHUNK_BYTES = 1 << 14  # compressed; one chunk's text is held at a time, and text shrinks to a tenth and less
_BUFFER_BYTES = 1 << 17
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _Damaged(Exception):
    """Compressed data that cannot be read on."""


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (line number from 1, line with its end) of a file that ends in `.gz`, `.zst` or anything else (plain).

    Raises `BadRow` where compressed data is damaged or ends too early, `UsageError` where the file cannot be read.
    """
    number = 0
    try:
        with path.open("rb") as file, _uncompressed(file, path.suffix.lower()) as lines:
            for number, line in enumerate(lines, 1):
                yield number, line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
    except (_Damaged, EOFError, zlib.error, gzip.BadGzipFile) as fault:
        raise BadRow(path, number + 1, f"the compressed data is damaged or cut short from here on ({fault})") from fault
    except OSError as fault:
        raise UsageError(f"cannot read {path}: {fault.strerror or fault}") from fault


def _uncompressed(file: IO[bytes], ending: str) -> IO[bytes] | gzip.GzipFile | io.BufferedReader:
    if ending == ".gz":
        return gzip.GzipFile(fileobj=file)
    if ending == ".zst":
        return io.BufferedReader(_ZstandardStream(file), _BUFFER_BYTES)
    return file


class _ZstandardStream(io.RawIOBase):
    """The text of one or more Zstandard frames. The library's own stream takes a file that is cut short for whole."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._library: Any = optional("zstandard", "reading a .zst file", "traces")
        self._frame: Any = None  # the frame being read; None between two frames
        self._compressed = b""
        self._text = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._text:
            chunk = self._compressed or self._file.read(_CHUNK_BYTES)
            if not chunk:
                if self._frame is not None:
                    raise _Damaged("it ends in the middle of a frame")
                return 0
            self._text = memoryview(self._decompress(chunk))
        size = min(len(buffer), len(self._text))
        buffer[:size] = self._text[:size]
        self._text = self._text[size:]
        return size

    def _decompress(self, chunk: bytes) -> bytes:
        if self._frame is None:
            self._frame = self._library.ZstdDecompressor().decompressobj()
        try:
            text: bytes = self._frame.decompress(chunk)
        except self._library.ZstdError as fault:
            raise _Damaged(str(fault)) from fault
        self._compressed = b""
        if self._frame.eof:
            self._compressed, self._frame = self._frame.unused_data, None
        return text
