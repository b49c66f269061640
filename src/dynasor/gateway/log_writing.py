"""Where the lines of the log go: to a file, by a thread of its own, so that a slow reader never holds the gateway up.

Lines are handed over a few times a second. Where nobody reads them, so many are kept, the next are dropped, and the log
says how many. What libraries and the gateway itself log as a warning or worse becomes such a line too, without the
texts of exceptions, which may quote anything.
"""

import asyncio
import logging
import os
import traceback
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Self

from dynasor.clock import utc_timestamp
from dynasor.gateway.logs import FORMATS, Fields, LogFormat
from dynasor.gateway.refusals import Refused

_EVERY_S = 0.1
_KEPT = 20_000  # lines
_LAST_S = 1.0  # that a file may take for the last of them
_FRAMES = 8
_LIBRARY = "dynasor"


class LogWriter:
    """Writes lines from when the context is entered until it is left. Lines come from the event loop's thread."""

    def __init__(self, file: int, form: LogFormat, kept: int = _KEPT) -> None:
        """Nothing is written yet.

        Args:
            file: a descriptor; no buffer of Python's, whose lock a thread that is stuck would keep.
            form: of a line.
            kept: lines that may wait to be written.
        """
        self._file, self._shown, self._kept = file, FORMATS[form], kept
        self._lines: list[str] = []
        self._time = ""
        self._batches: SimpleQueue[list[str] | None] = SimpleQueue()
        self._given_count = self._written_count = self._dropped_count = 0
        self._thread = Thread(target=self._run, name="log", daemon=True)
        self._warnings = _Warnings(self)

    def __enter__(self) -> Self:
        """From now on, warnings come here too."""
        self._thread.start()
        logging.getLogger().addHandler(self._warnings)
        return self

    def __exit__(self, *_: object) -> None:
        """Write the last lines; who does not read them within a second does without."""
        logging.getLogger().removeHandler(self._warnings)
        self._hand_over()
        self._batches.put(None)
        self._thread.join(_LAST_S)

    def write(self, fields: Fields) -> None:
        """One line more."""
        if self._given_count - self._written_count >= self._kept:
            self._dropped_count += 1
            return
        self._given_count += 1
        if not self._lines:
            self._time = utc_timestamp()  # of all lines until they are handed over
        self._lines.append(self._shown(self._time, fields))
        if len(self._lines) == 1:
            self._hand_over_soon()

    def _hand_over_soon(self) -> None:
        try:
            asyncio.get_running_loop().call_later(_EVERY_S, self._hand_over)
        except RuntimeError:  # before the loop runs, or after
            self._hand_over()

    def _hand_over(self) -> None:
        if self._dropped_count and self._given_count - self._written_count < self._kept:
            dropped, self._dropped_count = self._dropped_count, 0
            told = {"level": "warning", "event": "lines dropped", "count": dropped}
            self._given_count += 1
            self._lines.append(self._shown(utc_timestamp(), told))
        if self._lines:
            self._batches.put(self._lines)
            self._lines = []

    def _run(self) -> None:
        while (lines := self._batches.get()) is not None:
            left = ("\n".join(lines) + "\n").encode()
            with suppress(OSError):  # nobody will ever read it
                while left:
                    left = left[os.write(self._file, left) :]
            self._written_count += len(lines)


class _Warnings(logging.Handler):
    """Makes lines of what is logged."""

    def __init__(self, writer: LogWriter) -> None:
        super().__init__(logging.WARNING)
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Write one down."""
        fields: dict[str, object] = {
            "level": record.levelname.lower(),
            "event": "log",
            "logger": record.name,
            "told": _told(record).encode(errors="backslashreplace").decode(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            fields["exception"] = record.exc_info[0].__name__
            fields["at"] = _places(record.exc_info[2])
        self._writer.write(fields)


def _told(record: logging.LogRecord) -> str:
    """What this package logs is fit to be read, save for exceptions; of others the first line, without its values."""
    own = record.name.partition(".")[0] == _LIBRARY
    if own and isinstance(record.args, tuple) and record.args:
        return str(record.msg) % tuple(_named(value) for value in record.args)
    return str(record.msg).partition("\n")[0]


def _named(value: object) -> object:
    if isinstance(value, Refused):
        return value.code or f"http_{value.status}"
    return type(value).__name__ if isinstance(value, BaseException) else value


def _places(trace: TracebackType | None) -> list[str]:
    """Where it was raised, the innermost last."""
    return [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(trace)[-_FRAMES:]]
