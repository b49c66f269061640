"""Runs whose programs are due: the allocators of such programs, and what they ask together."""

from collections.abc import Callable

from dynasor.allocation.allocator import Allocator
from dynasor.allocation.overload import Overload
from dynasor.config import parse_specification
from dynasor.errors import UsageError
from dynasor.launch.options import RunOptions
from dynasor.programs.mcts import Mcts
from dynasor.programs.program import Program
from dynasor.programs.rebase import Rebase

AllocatorOf = Callable[[Program], Allocator]
_BY_DEADLINE = frozenset({"edf", "slack"})


def check_deadline(options: RunOptions, algorithm: type[Program]) -> None:
    """Refuse an ordering by deadlines without any, and deadlines under which an algorithm could not go on after a kill.

    Resume asks for grants anew, and the engine's pace may shrink them otherwise than before. Branches are the same
    whatever was granted at once; the steps of a search that spreads what it is granted are not.

    Raises:
        UsageError: naming the mend.
    """
    if options.deadline_s is None:
        names = {parse_specification(part).name for part in options.ordering.split("+")}
        if options.trace is None and (name := next(iter(sorted(names & _BY_DEADLINE)), None)):
            raise UsageError(f"ordering {name} goes by deadlines, and there is none; add --deadline")
    elif issubclass(algorithm, Rebase) or (issubclass(algorithm, Mcts) and algorithm.settings.parallel > 1):
        raise UsageError(
            f"what {algorithm.__name__} asks for depends on how much it is granted at once, and --deadline may grant"
            " less at any time, so that it could not go on after a kill; leave --deadline out"
        )


def deadlines(options: RunOptions) -> tuple[Overload | None, Callable[[AllocatorOf], AllocatorOf]]:
    """What is kept informed of the pace, and what puts allocators under the run's deadline, if it has one.

    Raises:
        UsageError: for a deadline that cannot be kept in this run.
    """
    seconds = options.deadline_s
    if seconds is None:
        return None, lambda allocator: allocator
    if options.trace is not None:
        raise UsageError("a recording answers at once, so no deadline can be missed; leave --deadline out")
    if options.token_budget is not None or options.shadow is not None:
        other = "token-budget" if options.token_budget is not None else "shadow"
        raise UsageError(f"--{other} counts on what it grants, and --deadline may take of it; leave one of them out")
    overload = Overload()

    def due(allocator: AllocatorOf) -> AllocatorOf:
        return lambda program: overload.due(program.id, seconds, allocator(program))

    return overload, due
