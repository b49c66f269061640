"""A batch under one token budget: each program's share of it, kept over kills by what the journal says was spent.

What a resumed run decides may differ from what it would have decided, since other programs ask first; what was spent
counts all the same, and no branch that landed is paid for again.
"""

from collections.abc import Iterable

from dynasor.allocation.allocator import Allocator, InRounds
from dynasor.allocation.budget import Share, TokenBudget
from dynasor.errors import EngineError
from dynasor.journal.records import Landed, ProgramFinished, Record
from dynasor.programs.program import Program
from dynasor.runtime.overseer import Judged


class Budgeted:
    """Gives every program its share of one budget."""

    def __init__(self, budget: TokenBudget) -> None:
        self._budget = budget
        self._shares: dict[str, Share] = {}

    def allocator(self, program: Program) -> Allocator:
        """A program's share is its policy; it is asked in rounds."""
        return InRounds(self._share(program.id))

    def recall(self, record: Record) -> None:
        """What earlier parts of the run have spent is spent."""
        match record:
            case Landed(completion=completion) if completion.finish.is_whole:
                self._share(completion.id.program).recall(completion.id.index, completion.tokens or 0)
            case ProgramFinished():
                self._leave(record)

    def come_to(self, problem: str) -> Iterable[Record]:
        """Nothing is to be written."""
        del problem
        return ()

    def finished(self, record: ProgramFinished, judged: Judged) -> Iterable[Record]:
        """What the program has left of its share goes to the others.

        Raises:
            EngineError: where nobody tells what branches cost.
        """
        del judged
        if record.unknown_count and not record.tokens:
            raise EngineError(
                "the server does not tell how many tokens it generated, so no budget can be kept; leave out"
                " --token-budget, or lower --cap",
                retryable=False,
            )
        self._leave(record)
        return (record,)

    def stalled(self, problem: str) -> None:
        """What it has spent is spent; nothing more is kept for it here."""
        share = self._shares.pop(problem)
        share.leave(share.tokens, share.knob)

    def _share(self, problem: str) -> Share:
        if problem not in self._shares:
            self._shares[problem] = self._budget.join()
        return self._shares[problem]

    def _leave(self, record: ProgramFinished) -> None:
        self._share(record.program).leave(record.tokens, record.knob)
        del self._shares[record.program]
