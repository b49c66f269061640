"""An embedder beside an engine: when a completion lands, the embedding of its answer is at hand (paper 3.1).

A program takes in a completion and groups its answer without waiting for anything, so what that takes must be there
before. It knows neither what answers nor how answers are grouped.
"""

from collections.abc import Callable, Sequence

from dynasor.engines.embedding import Embedder
from dynasor.engines.engine import Engine
from dynasor.errors import EngineError
from dynasor.request import Completion, Finish, Report, Request, RequestId

AnswerOf = Callable[[Completion], str | None]
"""The answer that a program will read in a completion; None where there is none."""


class EmbeddingEngine:
    """Implements `dynasor.engines.engine.Engine`, and reports as the engine within does.

    Completions are held back until their answers are embedded, all together that have landed meanwhile. One whose
    answer cannot be embedded fails; its tokens were spent all the same.
    """

    def __init__(self, engine: Engine, embedder: Embedder, answer_of: AnswerOf) -> None:
        """Nothing is asked of either before `check`."""
        self._engine = engine
        self._embedder = embedder
        self._answer_of = answer_of
        self._held: list[Completion] = []
        self._closed = False

    @property
    def engine(self) -> Engine:
        """The one that answers."""
        return self._engine

    async def check(self) -> None:
        """Check both.

        Raises:
            UsageError: one of them cannot work.
            EngineError: one of them is out of order.
        """
        await self._engine.check()
        await self._embedder.check()

    def submit(self, request: Request) -> None:
        """Start a request."""
        self._engine.submit(request)

    def cancel(self, id: RequestId) -> None:
        """Cut a request; one that waits for the embedding of its answer has ended already."""
        self._engine.cancel(id)

    async def ready(self) -> Sequence[Completion]:
        """Wait until requests have ended and their answers are embedded; who leaves it half-way loses nothing."""
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
            await self._embedder.close()

    def _answers(self) -> dict[RequestId, str]:
        whole = ((c.id, self._answer_of(c)) for c in self._held if c.finish.is_whole)
        return {id: answer for id, answer in whole if answer is not None}

    async def _faults(self, answers: list[str]) -> dict[str, EngineError]:
        """Embed them; where they are refused, halve them, so that only the answer that is to blame fails."""
        try:
            await self._embedder.embed(answers)
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
        error=f"no embedding: {fault}",
        retryable=fault.retryable,
    )
