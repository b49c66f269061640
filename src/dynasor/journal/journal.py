"""A file of records that survives being killed.

Records are written when they are flushed: from then on they outlive the process. They outlive the machine from the
next `sync` on. A torn last line, the mark of a write that was cut short, is left out by readers and removed by the next
write. The journal does not know what its records mean.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from dynasor.errors import DynasorError, UsageError
from dynasor.journal.records import VERSION, Record

JOURNAL = "journal.jsonl"
"""What a run's journal is called, in the run's directory."""

_decoder = msgspec.json.Decoder(Record)


class JournalError(DynasorError):
    """The journal cannot be written; what was flushed before is safe."""


class JournalWriter:
    """Appends records to one file, which no other process may write meanwhile.

    Raises:
        UsageError: if another process has it open for writing.
        JournalError: if the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._encoder = msgspec.json.Encoder()
        self._buffer = bytearray()
        self._unsynced = False
        self._repaired = False
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as fault:
            raise JournalError(f"cannot open {path}: {fault.strerror}") from fault
        self._lock()

    def append(self, record: Record) -> None:
        """Add a record to the group that the next `flush` writes."""
        self._buffer += self._encoder.encode(record)
        self._buffer += b"\n"

    def flush(self) -> None:
        """Write the group; it now survives the death of this process."""
        try:
            if self._buffer and not self._repaired:
                self._repair()
            while self._buffer:
                written = os.write(self._fd, self._buffer)
                del self._buffer[:written]
                self._unsynced = True
        except OSError as fault:
            raise JournalError(f"cannot write {self.path}: {fault.strerror}; mend that and resume") from fault

    def sync(self) -> None:
        """Force what was flushed onto the disk; may be called from another thread."""
        if self._unsynced:
            self._unsynced = False
            try:
                os.fsync(self._fd)
            except OSError as fault:
                self._unsynced = True
                raise JournalError(f"cannot force {self.path} to disk: {fault.strerror}") from fault

    def close(self) -> None:
        """Flush, sync, let go."""
        try:
            self.flush()
            self.sync()
        finally:
            os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _repair(self) -> None:
        """Cut a torn tail off, before the first write and not before: whoever only reads changes nothing."""
        os.ftruncate(self._fd, _whole_lines(self._fd))
        _sync_directory(self.path.parent)
        self._repaired = True

    def _lock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            os.close(self._fd)
            raise UsageError(f"another process is writing {self.path}; wait for it, or choose another --out") from fault


def read_journal(path: Path) -> Iterator[Record]:
    """The records of a journal, in order; a torn last line is left out.

    Raises:
        UsageError: if there is no such file, or a line other than the last is damaged or of another version.
    """
    try:
        file = path.open("rb")
    except OSError as fault:
        raise UsageError(f"cannot read the journal {path}: {fault.strerror}") from fault
    with file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            yield _decode(path, number, line)


def _decode(path: Path, number: int, line: bytes) -> Record:
    try:
        record: Record = _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise UsageError(f"{path}, line {number}: not a journal record ({fault})") from fault
    if record.v > VERSION:
        raise UsageError(
            f"{path}, line {number}: layout {record.v} is newer than this package's; upgrade dynasor-serve"
        )
    return record


def _sync_directory(directory: Path) -> None:
    """A new file outlives the machine only once its name does."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _whole_lines(fd: int) -> int:
    """The length of the file up to and with its last newline."""
    end = os.fstat(fd).st_size
    while end > 0:
        start = max(0, end - 65536)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
