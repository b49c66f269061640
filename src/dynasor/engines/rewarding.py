"""A reward model beside an engine: completions that are to be scored come with their reward (paper 2.1, 3.1).

It knows neither what answers nor what scores; it knows what is to be scored, and holds nothing else back.
"""

import asyncio
from collections.abc import Sequence

from dynasor.engines.engine import Engine, Reporting
from dynasor.engines.reward_queue import RewardModel, RewardQueue
from dynasor.errors import UsageError
from dynasor.request import Completion, Finish, Prompt, Report, Request, RequestId, continued


class RewardedEngine:
    """An engine with a reward model beside it. Implements `dynasor.engines.engine.Reporting`.

    A completion is held back for its reward where its request is `scored`, it is whole, and it has none yet. What is
    scored is all that the model was given and gave, the stop string included; so the text begins as its branch does,
    which a server's prefix cache makes use of. A text without a stop string counts as ended by the model itself.
    """

    def __init__(self, engine: Engine, reward_model: RewardModel) -> None:
        """Nothing is asked of either before `check`."""
        self._engine = engine
        self._reward_model = reward_model
        self._requests: dict[RequestId, Request] = {}  # those at the engine
        self._queue = RewardQueue(reward_model, self._end)
        self._listening: asyncio.Task[Sequence[Completion]] | None = None
        self._ended: list[Completion] = []
        self._reports: list[Report] = []
        self._news = asyncio.Event()
        self._closed = False

    def __repr__(self) -> str:
        return f"RewardedEngine({self._engine!r}, {self._reward_model!r})"

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
        await self._reward_model.check()

    def submit(self, request: Request) -> None:
        """Start a request.

        Raises:
            UsageError: a request of this id is running, or waits for its reward.
        """
        if request.id in self._queue:
            raise UsageError(f"request {request.id.index} of program '{request.id.program}' is running already")
        self._engine.submit(request)
        self._requests[request.id] = request
        self._news.set()

    def cancel(self, id: RequestId) -> None:
        """Cut a request; one that waits for its reward ends at once, with all of its text and tokens."""
        if id in self._queue:
            self._queue.cut(id)
        else:
            self._engine.cancel(id)

    async def ready(self) -> Sequence[Completion]:
        """Wait until a request has ended or there are reports; after `close`, give what is left without waiting."""
        self._collect()
        while not self._ended and not self._reports and not self._closed:
            self._news.clear()
            self._listen()
            await self._news.wait()
            self._collect()
        if self._closed:
            self._take(await self._engine.ready())
        ended, self._ended = self._ended, []
        return ended

    def take_reports(self) -> list[Report]:
        """What requests that run have generated so far; nothing where the engine does not report."""
        self._hear()
        reports, self._reports = self._reports, []
        return reports

    async def close(self) -> None:
        """Cut what runs or waits for its reward (`ready` still gives those completions), and close both."""
        self._closed = True
        if self._listening is not None and not self._listening.done():
            self._listening.cancel()
            await asyncio.wait([self._listening])
        try:
            await self._queue.close()
            await self._engine.close()
        finally:
            await self._reward_model.close()
        self._news.set()

    def _listen(self) -> None:
        """Have the engine tell what has ended, while something may; one that waits goes on when `ready` is left."""
        if self._listening is None and self._requests:
            self._listening = asyncio.get_running_loop().create_task(_told_by(self._engine))
            self._listening.add_done_callback(lambda _: self._news.set())

    def _collect(self) -> None:
        """Take in what the engine has told."""
        told = self._listening
        if told is not None and told.done():
            self._listening = None
            self._hear()
            self._take(() if told.cancelled() else told.result())

    def _hear(self) -> None:
        if isinstance(self._engine, Reporting):
            self._reports += self._engine.take_reports()

    def _take(self, completions: Sequence[Completion]) -> None:
        for completion in completions:
            request = self._requests.pop(completion.id)
            if request.scored and completion.finish.is_whole and completion.reward is None:
                self._hold(request, completion)
            else:
                self._end(completion)
        self._queue.start()

    def _hold(self, request: Request, completion: Completion) -> None:
        self._queue.add(completion, _scored_text(request, completion, self._reward_model.end))
        if self._closed:
            self._queue.cut(completion.id)

    def _end(self, completion: Completion) -> None:
        self._ended.append(completion)
        self._news.set()


def _scored_text(request: Request, completion: Completion, end: str) -> Prompt:
    ending = completion.stopped_at
    if ending is None:
        ending = end if completion.finish is Finish.STOP else ""
    return continued(request.prompt, completion.text + ending)


async def _told_by(engine: Engine) -> Sequence[Completion]:
    return await engine.ready()
