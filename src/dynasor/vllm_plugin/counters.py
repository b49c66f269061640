"""What the plug-in counts, and the board on which the engine's process shows it to the server's.

vLLM's scheduler runs in a process of its own, whose counters its `/metrics` does not see. The board is a small file in
memory that both map: writing to it costs a microsecond and waits for nobody.
"""

import mmap
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Final

FOLDER_VARIABLE: Final = "DYNASOR_VLLM_BOARDS"
"""Where boards are; set by the first process of a server, inherited by the others."""


@dataclass(slots=True)
class Counters:
    """Figures of one engine; those above the line are of this moment, the others only ever grow."""

    programs: int = 0  # that have requests or are remembered
    programs_running: int = 0  # with requests among those that run
    requests_running: int = 0
    # ---
    started: int = 0  # requests that were taken from the queue
    reorders: int = 0  # of these, those that were not the oldest
    aged: int = 0  # of these, those that went first because they had waited too long
    victims: int = 0  # preempted
    blocks_spared: int = 0  # of live programs, that would have been evicted
    bad_tags: int = 0


GAUGES: Final = {
    "programs": "Programs that have requests or are remembered.",
    "programs_running": "Programs with requests in the running batch.",
    "requests_running": "Requests in the running batch; over programs_running, how deep the gang is.",
}
TOTALS: Final = {
    "started": "Requests taken from the waiting queue.",
    "reorders": "Of these, requests that were not the oldest.",
    "aged": "Of these, requests that went first because they had waited too long.",
    "victims": "Requests preempted.",
    "blocks_spared": "Blocks of live programs that were next to be evicted, and were not.",
    "bad_tags": "Tags of requests that could not be read.",
}
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
