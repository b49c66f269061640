"""What a scheduler of ours counts inside an engine."""

from dataclasses import dataclass
from typing import Final


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
    blocks_spared: int = 0  # of live programs, that would have been evicted; in vLLM only
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
