"""Who looks over the programs of a batch as a whole: asked as each comes, told as each ends, and of what was before.

Whatever an overseer knows it knows from the records of the journal, so a resumed run has the same one. It moves no
request.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from dynasor.allocation.allocator import Allocator
from dynasor.journal.records import ProgramFinished, Record
from dynasor.programs.program import Program

Judged = Callable[[str | None], float | None]
"""How right an answer of the program is; None where no right one is known."""


class Overseer(Protocol):
    """Looks over one batch, and may write records of its own."""

    def recall(self, record: Record) -> None:
        """Take in a record of an earlier part of the run, in the journal's order, before anything else."""
        ...

    def come_to(self, problem: str) -> Iterable[Record]:
        """The batch comes to a problem, by its id; also to those that have answered before. In the problems' order."""
        ...

    def finished(self, record: ProgramFinished, judged: Judged) -> Iterable[Record]:
        """A program has answered: the records to write, its own first, which may tell more than the one given."""
        ...

    def stalled(self, problem: str) -> None:
        """The engine has let a program down; it is left for a resume."""
        ...


class AllocatingOverseer(Overseer, Protocol):
    """One that also decides what each program gets."""

    def allocator(self, program: Program) -> Allocator:
        """The allocator of a program that starts, or goes on."""
        ...


class Unattended:
    """Nobody looks: every program is on its own."""

    def recall(self, record: Record) -> None:
        """Pass over it."""

    def come_to(self, problem: str) -> Iterable[Record]:
        """Nothing is to be written."""
        del problem
        return ()

    def finished(self, record: ProgramFinished, judged: Judged) -> Iterable[Record]:
        """The record as it is."""
        del judged
        return (record,)

    def stalled(self, problem: str) -> None:
        """Pass over it."""
