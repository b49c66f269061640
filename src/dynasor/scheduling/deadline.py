"""Orders for programs that are due at a known instant; those that are not come last, by arrival."""

from dataclasses import dataclass
from math import inf

from dynasor.errors import UsageError
from dynasor.scheduling.ordering import Place
from dynasor.scheduling.table import Row
from dynasor.scheduling.waiting import Waiting


@dataclass(frozen=True, slots=True)
class EarliestDeadline:
    """By deadline of the program, then by its arrival."""

    def place(self, program: Row, request: Waiting, now: float) -> Place:
        """The deadline of its program."""
        return Place((_due(program), program.rank))


@dataclass(frozen=True, slots=True)
class LeastSlack:
    """By the latest instant at which what the program still needs can begin, then by its arrival.

    Slack is that instant less now; since now is the same for all, the order does not change as time goes by.

    Attributes:
        tokens_per_s: how fast one program is served.
    """

    tokens_per_s: float

    def __post_init__(self) -> None:
        """Refuse an engine that stands still."""
        if not self.tokens_per_s > 0:
            raise UsageError(f"tokens_per_s is {self.tokens_per_s}; it must be above 0")

    def place(self, program: Row, request: Waiting, now: float) -> Place:
        """The latest beginning of its program."""
        return Place((_due(program) - program.remaining_tokens / self.tokens_per_s, program.rank))


def _due(program: Row) -> float:
    return inf if program.deadline is None else program.deadline
