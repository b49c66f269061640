"""Answers from a recording: sample i of a problem, as recorded or in a seeded order, for branch i of its program.

Time is virtual and counts tokens: every running request generates one token per instant, as in one large batch. So
branches land in the order of their lengths, and a branch that is cut has cost as many tokens as were generated
since it started. Nothing here waits, and the same seed gives the same completions in the same order.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from heapq import heappop, heappush
from random import Random

from dynasor.errors import UsageError
from dynasor.request import Completion, Finish, Recorded, Request, RequestId, Sample


class RecordedEngine:
    """Replays samples, by problem id.

    Without a seed, branch i is sample i. Else the order of a problem's samples is drawn from (seed, problem id): each
    seed is an independent run over one trace.
    """

    def __init__(self, samples: Mapping[str, Sequence[Sample]], *, seed: int | None = None) -> None:
        self._samples = samples
        self._now = 0
        self._count = 0
        self._running: dict[RequestId, tuple[int, int, Sample]] = {}  # its start, which start of all it is, its sample
        self._due: list[tuple[int, int, RequestId]] = []
        self._ended: list[Completion] = []
        self.order = lru_cache(maxsize=1 << 16)(lambda program: _order(seed, program, len(samples[program])))

    async def check(self) -> None:
        """Every problem must have a sample.

        Raises:
            UsageError: naming the first that has none.
        """
        for problem, samples in self._samples.items():
            if not samples:
                raise UsageError(f"the recording has no samples for problem '{problem}'")

    def submit(self, request: Request) -> None:
        """Start a branch at the present instant; it fails where the recording has no further sample."""
        id = request.id
        samples = self._samples.get(id.program, ())
        if id.index >= len(samples):
            fault = (
                f"the recording has {len(samples)} samples for problem '{id.program}'; asked for number {id.index + 1}"
            )
            self._ended.append(Completion(id=id, finish=Finish.FAILED, error=fault))
            return
        sample = samples[self.order(id.program)[id.index]]
        self._count += 1
        self._running[id] = (self._now, self._count, sample)
        heappush(self._due, (self._now + sample.tokens, self._count, id))

    def cancel(self, id: RequestId) -> None:
        """Cut a branch at the present instant."""
        running = self._running.pop(id, None)
        if running is not None:
            self._ended.append(Completion(id=id, finish=Finish.CANCELLED, tokens=self._now - running[0]))

    def take(self) -> list[Completion]:
        """Whatever has ended; if nothing has, go on to the next instant at which something does."""
        while self._due and not self._ended:
            self._now = self._due[0][0]
            while self._due and self._due[0][0] == self._now:
                self._land(*heappop(self._due)[1:])
        ended, self._ended = self._ended, []
        return ended

    async def ready(self) -> Sequence[Completion]:
        """The same, for a host that waits."""
        return self.take()

    async def close(self) -> None:
        """Forget what runs."""
        self._running.clear()
        self._due.clear()
        self._ended.clear()

    def even_tokens(self, program: str, cap: int) -> int:
        """What even allocation takes: the tokens of the first `cap` branches."""
        samples = self._samples[program]
        return sum(samples[i].tokens for i in self.order(program)[:cap])

    def _land(self, started: int, id: RequestId) -> None:
        running = self._running.get(id)
        if running is None or running[1] != started:  # it was cut, and may since have been asked for again
            return
        del self._running[id]
        sample = running[2]
        self._ended.append(
            Completion(
                id=id,
                text=sample.text,
                tokens=sample.tokens,
                mean_logprob=sample.mean_logprob,
                reward=sample.reward,
                recorded=Recorded(sample.answer),
            )
        )


def _order(seed: int | None, program: str, count: int) -> list[int]:
    order = list(range(count))
    if seed is not None:
        Random(f"{seed}/{program}").shuffle(order)
    return order
