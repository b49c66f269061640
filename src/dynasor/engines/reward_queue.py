"""Completions that wait for their reward, and the reward model that scores them in batches.

Whatever waits when the reward model is free goes to it together, in the order in which it landed, whichever branch or
program it is of. Knows nothing of the engine that the completions came from.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Protocol

import msgspec

from dynasor.errors import EngineError
from dynasor.request import Completion, Finish, Prompt, RequestId

MOST_TEXTS = 64  # of one call


class RewardModel(Protocol):
    """Says how likely it is that everything in a text is right.

    A text is a `Prompt`: plain text, or a conversation whose last turn is the assistant's, and not closed.
    """

    @property
    def end(self) -> str:
        """What stands at the end of a text that the policy has ended by itself; empty where the model needs nothing."""
        ...

    async def check(self) -> None:
        """Raise a `UsageError` or `EngineError` where it cannot work at all; called once, first."""
        ...

    async def score(self, texts: Sequence[Prompt]) -> list[float]:
        """Score texts: a probability in [0, 1] each, in their order.

        Raises:
            EngineError: they cannot be scored. Where it is not retryable, one of them may be to blame.
        """
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...


class RewardQueue:
    """Gives completions their rewards, one call to the reward model at a time; to be used within one event loop.

    A completion that cannot be scored fails. Its tokens were spent all the same.
    """

    def __init__(self, reward_model: RewardModel, land: Callable[[Completion], None]) -> None:
        """Nothing is asked of the model before `add`.

        Args:
            reward_model: already checked when the first completion comes.
            land: gets every completion that was added, once.
        """
        self._reward_model = reward_model
        self._land = land
        self._held: dict[RequestId, _Held] = {}  # also those that are being scored
        self._unscored: deque[_Held] = deque()
        self._call: asyncio.Task[list[_Outcome]] | None = None

    def __contains__(self, id: RequestId) -> bool:
        return id in self._held

    def add(self, completion: Completion, text: Prompt) -> None:
        """Have a completion wait; `text` is what is scored."""
        held = _Held(completion, text)
        self._held[completion.id] = held
        self._unscored.append(held)

    def cut(self, id: RequestId) -> None:
        """End a completion that waits as a cancelled one, with all of its text and tokens."""
        self._land(msgspec.structs.replace(self._held.pop(id).completion, finish=Finish.CANCELLED))

    def start(self) -> None:
        """Where the reward model is free, hand it what waits."""
        if self._call is not None:
            return
        batch: list[_Held] = []
        while self._unscored and len(batch) < MOST_TEXTS:
            held = self._unscored.popleft()
            if self._waits(held):
                batch.append(held)
        if batch:
            self._call = asyncio.get_running_loop().create_task(_scored(self._reward_model, batch))
            self._call.add_done_callback(lambda call: self._settle(batch, call))

    async def close(self) -> None:
        """Cut what waits, and end the call."""
        for id in list(self._held):
            self.cut(id)
        if self._call is not None:
            self._call.cancel()
            await asyncio.wait([self._call])

    def _settle(self, batch: Sequence["_Held"], call: "asyncio.Task[list[_Outcome]]") -> None:
        self._call = None
        if call.cancelled():
            return
        for held, outcome in zip(batch, _outcomes(call, len(batch)), strict=True):
            if self._waits(held):
                del self._held[held.completion.id]
                self._land(held.with_outcome(outcome))
        self.start()

    def _waits(self, held: "_Held") -> bool:
        """Whether nobody has cut it; another of the same id may have come since."""
        return self._held.get(held.completion.id) is held


_Outcome = float | EngineError


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """A completion that waits for its reward, and what is scored."""

    completion: Completion
    text: Prompt

    def with_outcome(self, outcome: _Outcome) -> Completion:
        if not isinstance(outcome, EngineError):
            if 0 <= outcome <= 1:
                return msgspec.structs.replace(self.completion, reward=outcome)
            outcome = _no_probability(outcome)
        return Completion(
            id=self.completion.id,
            finish=Finish.FAILED,
            tokens=self.completion.tokens,
            prompt_tokens=self.completion.prompt_tokens,
            error=f"no reward: {outcome}",
            retryable=outcome.retryable,
        )


def _no_probability(score: float) -> EngineError:
    """A figure outside [0, 1] is a fault of the settings, which can be mended; NaN is one of this text."""
    told = f"the reward model gave {score:g}, and a reward is a probability, from 0 to 1"
    return EngineError(told, retryable=not isnan(score))


async def _scored(reward_model: RewardModel, batch: Sequence[_Held]) -> list[_Outcome]:
    """Score a batch; where it is refused, halve it, so that only the text that is to blame fails."""
    try:
        return [*await reward_model.score([held.text for held in batch])]
    except EngineError as fault:
        if fault.retryable or len(batch) == 1:
            return [fault] * len(batch)
    middle = len(batch) // 2
    return [*await _scored(reward_model, batch[:middle]), *await _scored(reward_model, batch[middle:])]


def _outcomes(call: "asyncio.Task[list[_Outcome]]", count: int) -> list[_Outcome]:
    if (bug := call.exception()) is not None:
        told = f"fault in the reward model itself: {type(bug).__name__}: {bug}"
    elif (given := len(call.result())) != count:
        told = f"the reward model gave {given} scores for {count} texts"
    else:
        return call.result()
    return [EngineError(told, retryable=False)] * count
