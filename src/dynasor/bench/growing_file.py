"""A file that grows by a line of JSON for whatever was measured, so that it is found again after an interruption.

It knows how lines are written and read, and not what they say.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from dynasor.errors import UsageError

Line = TypeVar("Line")


class GrowingFile(ABC, Generic[Line]):
    """Lines of known kinds, each of which is kept as soon as it is there.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path, decoder: "msgspec.json.Decoder[Line]") -> None:
        """Read what is there; a last line that was torn off is cut away.

        Raises:
            UsageError: where the file holds something else.
        """
        self.path = path
        for line in _read(path, decoder):
            self.take(line)

    def add(self, line: Line) -> None:
        """Keep one more."""
        self.take(line)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")

    def write(self) -> None:
        """Write all that is known anew, where there is a file."""
        if not self.path.is_file():
            return
        unfinished = self.path.with_suffix(".part")
        unfinished.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in self.lines()))
        unfinished.replace(self.path)

    @abstractmethod
    def take(self, line: Line) -> None:
        """Know a line."""

    @abstractmethod
    def lines(self) -> Iterable[Line]:
        """All that are known, in the order in which they are to be written."""


def _read(path: Path, decoder: "msgspec.json.Decoder[Line]") -> list[Line]:
    if not path.is_file():
        return []
    written = path.read_bytes()
    whole, _, torn = written.rpartition(b"\n")
    if torn:
        path.write_bytes(whole + b"\n" if whole else b"")
    try:
        return [decoder.decode(line) for line in whole.splitlines()]
    except msgspec.MsgspecError as fault:
        raise UsageError(f"{path} holds no rows of this study: {fault}; remove it, or choose another --out") from fault
