"""What whoever submitted a program holds of it: its events as they come, and in the end its outcome."""

import asyncio
from collections.abc import AsyncIterator, Hashable

from dynasor.errors import DynasorError
from dynasor.programs.program import Program
from dynasor.programs.session import Outcome
from dynasor.request import Completion, RequestId
from dynasor.runtime.events import BranchGrew, BranchLanded

Step = BranchLanded | BranchGrew


class Ticket:
    """One program that was submitted. It holds no more than the program itself does, however slowly it is followed.

    Attributes:
        program: as it goes on; to be read only.
        completions: of its requests that have ended, also of those that were cut and that failed.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.completions: dict[RequestId, Completion] = {}
        self._pending: dict[Hashable, Step] = {}
        self._news = asyncio.Event()
        self._ended = asyncio.Event()
        self._outcome: Outcome | DynasorError | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it, and nothing of it is at the engine."""
        return self._ended.is_set()

    @property
    def tokens(self) -> int:
        """All that its requests have generated, as far as they have ended; those that were cut included."""
        return sum(completion.tokens or 0 for completion in self.completions.values())

    async def outcome(self) -> Outcome:
        """Wait for its end.

        Raises:
            EngineError: the engine let it down, or it was withdrawn.
            ProgramError: its program broke.
        """
        await self._ended.wait()
        if isinstance(self._outcome, Outcome):
            return self._outcome
        assert self._outcome is not None  # noqa: S101  (for the type checker: it has ended)
        raise self._outcome

    async def gone(self) -> None:
        """Wait until nothing of it is left, whatever came of it."""
        await self._ended.wait()

    async def follow(self) -> AsyncIterator[Step]:
        """What happens, in order, until the program ends; of what a request reports while nobody looks, the latest.

        For one follower.
        """
        while not self.has_ended or self._pending:
            await self._news.wait()
            self._news.clear()
            pending, self._pending = self._pending, {}
            for step in pending.values():
                yield step

    def take(self, step: Step) -> None:
        """Something has happened; for the service."""
        if isinstance(step, BranchGrew):
            self._pending.pop(step.report.id, None)
            self._pending[step.report.id] = step
        else:
            self._pending.pop(step.completion.id, None)
            self._pending[step.completion.id] = step
            self.completions[step.completion.id] = step.completion
        self._news.set()

    def end(self, outcome: Outcome | DynasorError) -> None:
        """It is over; for the service."""
        self._outcome = outcome
        self._ended.set()
        self._news.set()
