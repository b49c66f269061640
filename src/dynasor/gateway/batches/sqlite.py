"""SQLite, for one gateway: a file of its own, that survives the death of the process and of the machine."""

import fcntl
import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from dynasor.errors import UsageError

_BUSY_S = 30.0


class Sqlite:
    """Implements `transactions.Dialect`."""

    faults: tuple[type[Exception], ...] = (sqlite3.Error,)
    number = "INTEGER PRIMARY KEY AUTOINCREMENT"
    blob = "BLOB"
    begin = "BEGIN IMMEDIATE"
    alone = ""
    passing_locked = ""
    together = 256
    now = "((julianday('now') - 2440587.5) * 86400.0)"

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock: int | None = None

    def connect(self) -> sqlite3.Connection:
        """A connection; the first one locks the file.

        Raises:
            UsageError: another gateway has it, or it cannot be opened.
        """
        self._hold()
        try:
            connection = sqlite3.connect(self._file, timeout=_BUSY_S, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error as fault:
            raise UsageError(f"the batch store {self._file} cannot be opened: {fault}") from None
        return connection

    def spelled(self, statement: str) -> str:
        """As it is."""
        return statement

    def is_lost(self, connection: sqlite3.Connection) -> bool:
        """A file stays."""
        del connection
        return False

    def passes(self, fault: Exception) -> bool:
        """Nobody else writes."""
        del fault
        return False

    def release(self) -> None:
        """Unlock the file."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _hold(self) -> None:
        """A lock that dies with the process: what another one had begun is then known to be nobody's."""
        if self._lock is not None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            beside = self._file.with_name(f"{self._file.name}.lock")
            lock = os.open(beside, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as fault:
            raise UsageError(f"the batch store {self._file} cannot be opened: {fault.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise UsageError(f"another gateway has the batch store {self._file}; for several, use postgresql://...")\
                from None  # fmt: skip
        self._lock = lock
        with suppress(OSError):  # it holds what clients ask
            os.close(os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600))
