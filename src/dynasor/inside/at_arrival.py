"""Shortest job first by what was known when a request arrived, as clients get it that send priorities (a baseline)."""

from dataclasses import dataclass

from dynasor.scheduling.ordering import Place
from dynasor.scheduling.table import Row
from dynasor.scheduling.waiting import Waiting


@dataclass(frozen=True, slots=True)
class SjfAtArrival:
    """By what the program was estimated to need yet when the request arrived; it is not ranked anew."""

    def place(self, program: Row, request: Waiting, now: float) -> Place:
        """The estimate of then."""
        return Place((request.expected_tokens, program.rank))
