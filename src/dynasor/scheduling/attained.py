"""Least attained service, as in Autellix: for programs whose lengths nobody can estimate."""

from dataclasses import dataclass

from dynasor.errors import UsageError
from dynasor.scheduling.ordering import Place
from dynasor.scheduling.table import Row
from dynasor.scheduling.waiting import Waiting


@dataclass(frozen=True, slots=True)
class LeastAttained:
    """By levels of tokens generated for the program so far, then by its arrival.

    A program leaves the first level at `quantum_tokens`, and every further level at twice what it left the one before:
    programs that are equally far do not take turns at every token.
    """

    quantum_tokens: int = 512

    def __post_init__(self) -> None:
        """Refuse a quantum of nothing."""
        if self.quantum_tokens < 1:
            raise UsageError(f"quantum_tokens is {self.quantum_tokens}; it must be at least 1")

    def place(self, program: Row, request: Waiting, now: float) -> Place:
        """The level of its program."""
        return Place(((program.attained_tokens // self.quantum_tokens).bit_length(), program.rank))
