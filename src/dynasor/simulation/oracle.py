"""Shortest remaining tokens first, for whoever knows the future: the bound that estimates are measured against."""

from collections.abc import Callable
from dataclasses import dataclass

from dynasor.request import ProgramId
from dynasor.scheduling.ordering import Place
from dynasor.scheduling.table import Row
from dynasor.scheduling.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Oracle:
    """By the tokens that the program will really need yet, then by its arrival.

    Attributes:
        total_tokens: what a program will take in all.
    """

    total_tokens: Callable[[ProgramId], int]

    def place(self, program: Row, request: Waiting, now: float) -> Place:
        """What is left of it."""
        return Place((max(0, self.total_tokens(program.id) - program.attained_tokens), program.rank))
