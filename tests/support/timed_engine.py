"""An engine and a clock in virtual time: how long everything takes is known beforehand."""

import asyncio
from collections.abc import Awaitable, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import TypeVar

from dynasor.clock import WallClock
from dynasor.request import Completion, Finish, Request, RequestId

_T = TypeVar("_T")
_HOPS = 20  # of the event loop, after which all who can go on have done so


class VirtualClock:
    """Time goes on when everybody waits, and then to the earliest of those who sleep."""

    def __init__(self) -> None:
        self._now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> float:
        return self._now

    async def sleep(self, duration_s: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._sleepers, (self._now + duration_s, next(self._order), future))
        await future

    async def play(self, work: Awaitable[_T]) -> _T:
        """Let time run until some work is done."""
        task = asyncio.ensure_future(work)
        while True:
            for _ in range(_HOPS):
                await WallClock().sleep(0)
            if task.done():
                return task.result()
            self._wake()

    def _wake(self) -> None:
        while self._sleepers:
            instant, _, future = heappop(self._sleepers)
            if not future.done():
                self._now = instant
                future.set_result(None)
                return
        raise AssertionError("everybody waits, and nobody sleeps")


class TimedEngine:
    """Every token takes `token_s`; a request that is cut gives up its slot `release_s` later, and is told at once.

    An answer has `answer_tokens`, or fewer where a request allows fewer.
    """

    def __init__(
        self,
        clock: VirtualClock,
        *,
        slots: int = 4,
        token_s: float = 0.01,
        release_s: float = 0.03,
        answer_tokens: int = 1 << 30,
    ) -> None:
        self._clock, self._slots, self._token_s, self._release_s = clock, slots, token_s, release_s
        self._answer_tokens = answer_tokens
        self._waiting: list[Request] = []
        self._running: dict[RequestId, tuple[float, asyncio.Task[None]]] = {}
        self.busy = 0
        self.most_running = 0
        self.closed = False
        self._ended: list[Completion] = []
        self._news = asyncio.Event()

    @property
    def working(self) -> bool:
        """Whether anybody waits for an answer."""
        return bool(self._running or self._waiting)

    async def check(self) -> None:
        pass

    def submit(self, request: Request) -> None:
        self._waiting.append(request)
        self._fill()

    def cancel(self, id: RequestId) -> None:
        self._waiting, waiting = [], self._waiting
        for request in waiting:
            if request.id == id:
                self._report(Completion(id=id, finish=Finish.CANCELLED))
            else:
                self._waiting.append(request)
        if id in self._running:
            began, task = self._running.pop(id)
            task.cancel()
            tokens = int((self._clock.now() - began) / self._token_s + 1e-9)
            self._report(Completion(id=id, finish=Finish.CANCELLED, tokens=tokens))
            asyncio.ensure_future(self._release())  # noqa: RUF006  (it outlives nothing)

    async def ready(self) -> Sequence[Completion]:
        while not self._ended and not self.closed:
            self._news.clear()
            await self._news.wait()
        ended, self._ended = self._ended, []
        return ended

    async def close(self) -> None:
        for id in [*(request.id for request in self._waiting), *self._running]:
            self.cancel(id)
        self.closed = True
        self._news.set()

    def _fill(self) -> None:
        while self._waiting and self.busy < self._slots:
            self.busy += 1
            self.most_running = max(self.most_running, self.busy)
            request = self._waiting.pop(0)
            task = asyncio.ensure_future(self._answer(request))
            self._running[request.id] = (self._clock.now(), task)

    async def _answer(self, request: Request) -> None:
        tokens = min(request.sampling.max_tokens, self._answer_tokens)
        await self._clock.sleep(tokens * self._token_s)
        del self._running[request.id]
        finish = Finish.LENGTH if tokens == request.sampling.max_tokens else Finish.STOP
        self._report(Completion(id=request.id, finish=finish, tokens=tokens))
        self._free()

    async def _release(self) -> None:
        await self._clock.sleep(self._release_s)
        self._free()

    def _free(self) -> None:
        self.busy -= 1
        self._fill()

    def _report(self, completion: Completion) -> None:
        self._ended.append(completion)
        self._news.set()
