"""What a dispatcher tells of: values for whoever keeps a journal or shows a run."""

from dataclasses import dataclass

from dynasor.programs.program import Program
from dynasor.programs.session import Outcome
from dynasor.request import Completion, Report


@dataclass(frozen=True, slots=True)
class BranchLanded:
    """A request of a program has ended."""

    program: Program
    completion: Completion


@dataclass(frozen=True, slots=True)
class BranchGrew:
    """A request of a program has generated so much by now."""

    program: Program
    report: Report


@dataclass(frozen=True, slots=True)
class ProgramEnded:
    """A program has answered."""

    program: Program
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class ProgramStalled:
    """A program cannot go on because the engine let a request down; what has landed is kept for a resume."""

    program: Program
    fault: str


@dataclass(frozen=True, slots=True)
class ProgramStarted:
    """A program that came by itself has begun: told by `runtime.service` alone."""

    program: Program


Event = BranchLanded | BranchGrew | ProgramEnded | ProgramStalled
