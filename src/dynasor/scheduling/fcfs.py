"""First come, first served, request by request: what engines do by themselves."""

from dataclasses import dataclass
from typing import ClassVar

from dynasor.scheduling.ordering import Place
from dynasor.scheduling.table import Row
from dynasor.scheduling.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Fcfs:
    """By arrival of the request; blind to programs."""

    is_fixed: ClassVar[bool] = True

    def place(self, program: Row, request: Waiting, now: float) -> Place:
        """Its rank."""
        return Place((request.rank,))
