"""The board on which the engine's process shows the server's what the plug-in counts.

vLLM's scheduler runs in a process of its own, whose counters its `/metrics` does not see. The board is a small file in
memory that both map: writing to it costs a microsecond and waits for nobody.
"""

import mmap
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import Final

from dynasor.inside.counters import Counters

FOLDER_VARIABLE: Final = "DYNASOR_VLLM_BOARDS"
"""Where boards are; set by the first process of a server, inherited by the others."""


_LAYOUT: Final = struct.Struct(f"<{len(fields(Counters))}q")
_FIGURES: Final = attrgetter(*(field.name for field in fields(Counters)))


class Board:
    """The file that one engine writes."""

    def __init__(self, folder: Path, engine: int) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / str(engine)
        path.write_bytes(bytes(_LAYOUT.size))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _LAYOUT.size)

    def show(self, counters: Counters) -> None:
        """Write all figures."""
        _LAYOUT.pack_into(self._map, 0, *_FIGURES(counters))


def boards(folder: Path) -> Iterator[tuple[str, Counters]]:
    """The engines that have a board, each with its figures."""
    with suppress(FileNotFoundError):
        for path in sorted(folder.iterdir()):
            yield path.name, Counters(*_LAYOUT.unpack(path.read_bytes()))
