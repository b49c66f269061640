"""What a program saved against even allocation, as far as its branches tell."""

from dynasor.programs.probed import Probed
from dynasor.programs.program import Program
from dynasor.programs.search import Search
from dynasor.programs.session import EXHAUSTED, Outcome


def saved_tokens(program: Program, outcome: Outcome) -> int | None:
    """The tokens that even allocation would have spent beyond these; None where nobody can know.

    Less than 0 where more was spent, as by branches in flight that were cut.
    """
    if isinstance(program, Probed):
        return None
    if isinstance(program, Search) and outcome.stopped_by == EXHAUSTED:
        return 0  # there was nothing left to find: even allocation would have ended here too
    return round(program.even_tokens(outcome.failed_count)) - outcome.tokens
