"""Parrot's orders: App-FIFO as the paper means it (6.3), and the rule that Parrot's code has."""

from dataclasses import dataclass
from typing import ClassVar

from dynasor.scheduling.ordering import Place
from dynasor.scheduling.table import Row
from dynasor.scheduling.waiting import Waiting


@dataclass(frozen=True, slots=True)
class AppFifo:
    """By arrival of the program, then of the request."""

    is_fixed: ClassVar[bool] = True

    def place(self, program: Row, request: Waiting, now: float) -> Place:
        """The rank of its program."""
        return Place((program.rank,))


@dataclass(frozen=True, slots=True)
class DeepestFirst:
    """Later steps first, then by arrival of the request; branches of one step are not kept together."""

    is_fixed: ClassVar[bool] = True

    def place(self, program: Row, request: Waiting, now: float) -> Place:
        """Its depth."""
        return Place((-request.depth,))
