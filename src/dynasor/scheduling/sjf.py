"""Approximate shortest job first (paper 5.3.1): the program that needs the fewest tokens yet."""

from dataclasses import dataclass

from dynasor.scheduling.ordering import Place
from dynasor.scheduling.table import Row
from dynasor.scheduling.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Sjf:
    """By estimated remaining tokens of the program, then by its arrival; without aging, long programs may starve."""

    def place(self, program: Row, request: Waiting, now: float) -> Place:
        """The estimate for its program."""
        return Place((program.remaining_tokens, program.rank))
