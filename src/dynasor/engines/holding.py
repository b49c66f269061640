"""An engine whose completions are held back until what grouping their answers takes is at hand (paper 3.1).

A program takes in a completion and groups its answer without waiting for anything, so embeddings, or what code does,
must be there before. It knows neither what answers nor how answers are grouped.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from dynasor.engines.engine import Engine
from dynasor.errors import EngineError
from dynasor.request import Completion, Finish, ProgramId, Report, Request, RequestId

AnswerOf = Callable[[Completion], str | None]
"""The answer that a program will read in a completion; None where there is none."""


class Answered(NamedTuple):
    """An answer, and the program that it is one of."""

    program: ProgramId
    answer: str


class Preparation(Protocol):
    """Sees that what grouping an answer takes is at hand."""

    async def check(self) -> None:
        """Raise a `UsageError` or `EngineError` where it cannot work at all; called once, first."""
        ...

    async def prepare(self, answers: Sequence[Answered]) -> None:
        """See to these, without keeping the event loop.

        Raises:
            EngineError: it cannot be had. Where it is not retryable, one of the answers may be to blame.
        """
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...


class HoldingEngine:
    """Implements `dynasor.engines.engine.Engine`, and reports as the engine within does.

    Completions are held back until their answers are prepared, all together that have landed meanwhile. One whose
    answer cannot be prepared fails; its tokens were spent all the same.
    """

    def __init__(self, engine: Engine, preparation: Preparation, answer_of: AnswerOf) -> None:
        """Nothing is asked of either before `check`."""
        self._engine = engine
        self._preparation = preparation
        self._answer_of = answer_of
        self._held: list[Completion] = []
        self._closed = False

    @property
    def engine(self) -> Engine:
        """The one that answers."""
        return self._engine

    @property
    def queued_count(self) -> int | None:
        """Requests that wait behind the one that answers; None where it does not tell."""
        count: int | None = getattr(self._engine, "queued_count", None)
        return count

    async def check(self) -> None:
        """Check both.

        Raises:
            UsageError: one of them cannot work.
            EngineError: one of them is out of order.
        """
        await self._engine.check()
        await self._preparation.check()

    def submit(self, request: Request) -> None:
        """Start a request."""
        self._engine.submit(request)

    def cancel(self, id: RequestId) -> None:
        """Cut a request; one that is held back has ended already."""
        self._engine.cancel(id)

    async def ready(self) -> Sequence[Completion]:
        """Wait until requests have ended and their answers are prepared; who leaves it half-way loses nothing."""
        if not self._held:
            self._held = [*await self._engine.ready()]
        answers = {} if self._closed else self._answers()
        faults = await self._faults(list(dict.fromkeys(answers.values())))
        held, self._held = self._held, []
        return [_landed(c, faults.get(answers[c.id]) if c.id in answers else None) for c in held]

    def take_reports(self) -> list[Report]:
        """What requests that run have generated so far; nothing where the engine does not report."""
        take: Callable[[], list[Report]] | None = getattr(self._engine, "take_reports", None)
        return take() if take is not None else []

    async def close(self) -> None:
        """Close both; `ready` gives what is left as it is."""
        self._closed = True
        try:
            await self._engine.close()
        finally:
            await self._preparation.close()

    def _answers(self) -> dict[RequestId, Answered]:
        whole = ((c.id, self._answer_of(c)) for c in self._held if c.finish.is_whole)
        return {id: Answered(id.program, answer) for id, answer in whole if answer is not None}

    async def _faults(self, answers: list[Answered]) -> dict[Answered, EngineError]:
        """Prepare them; where they are refused, halve them, so that only the answer that is to blame fails."""
        try:
            await self._preparation.prepare(answers)
        except EngineError as fault:
            if fault.retryable or len(answers) == 1:
                return dict.fromkeys(answers, fault)
        else:
            return {}
        middle = len(answers) // 2
        return await self._faults(answers[:middle]) | await self._faults(answers[middle:])


def _landed(completion: Completion, fault: EngineError | None) -> Completion:
    if fault is None:
        return completion
    return Completion(
        id=completion.id,
        finish=Finish.FAILED,
        tokens=completion.tokens,
        prompt_tokens=completion.prompt_tokens,
        error=str(fault),
        retryable=fault.retryable,
    )
