"""What an engine's steps take, as seen from outside: short experiments on anything that is an `Engine`.

It knows no server and no model. What else runs on the engine while it is measured, is measured too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from random import Random
from statistics import fmean

from dynasor.clock import Clock
from dynasor.engines.engine import Engine
from dynasor.errors import EngineError
from dynasor.request import Completion, Finish, ProgramId, Request, RequestId, Sampling
from dynasor.simulation.fit import MeasuredStep, fit_line

BEFORE_TOKENS = 16
"""By then the prompts of all that were asked together are computed."""

DECODED_TOKENS = 128
PROMPT_SIZES = (0.125, 0.25, 0.5, 1.0)
_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet", "jetty", "knoll", "larch")


@dataclass(frozen=True, slots=True)
class Prompts:
    """What single prompts took to their first token: a line in their tokens.

    Attributes:
        base_s: of a request that computes next to nothing.
    """

    base_s: float
    token_s: float


class Probe:
    """Experiments on one engine.

    Args:
        engine: does nothing else.
        clock: the engine's own.
        seed: of the prompts, of which no two begin alike: none is found in a cache.
    """

    def __init__(self, engine: Engine, clock: Clock, seed: int = 0) -> None:
        self._engine, self._clock = engine, clock
        self._rng = Random(f"{seed}/measured prompts")
        self._numbers: Iterator[int] = count()

    async def decoding(self, sequences: int, words: int, repeats: int) -> MeasuredStep:
        """So many requests at once, with prompts of so many words; the steps in which all of them decode.

        What answers of some tokens take is taken from what answers of more do. What else runs on the machine only ever
        adds to a time, so the quickest of each counts.

        Raises:
            EngineError: where a request fails, ends early, or is not counted.
        """
        found = [await self._together(sequences, words, BEFORE_TOKENS) for _ in range(repeats)]
        longer = [await self._together(sequences, words, BEFORE_TOKENS + DECODED_TOKENS) for _ in range(repeats)]
        duration_s = (min(longer)[0] - min(found)[0]) / DECODED_TOKENS
        if not duration_s > 0:
            raise EngineError(
                "longer answers took no longer; measure again, on a machine that is quiet", retryable=True
            )
        held = min(found)[1] + BEFORE_TOKENS + DECODED_TOKENS / 2
        return MeasuredStep(sequences, 0, round(sequences * held), duration_s)

    async def prompts(self, words: int, repeats: int) -> Prompts:
        """Requests of one generated token, one at a time, with prompts of up to so many tokens.

        Raises:
            EngineError: where a request fails, or is not counted.
        """
        sizes, times = [], []
        for share in PROMPT_SIZES:
            found = [await self._together(1, max(8, round(share * words)), 1) for _ in range(repeats)]
            sizes.append(fmean(tokens for _, tokens in found))
            times.append(min(time_s for time_s, _ in found))
        base_s, token_s = fit_line(sizes, times)
        return Prompts(base_s, token_s)

    async def _together(self, sequences: int, words: int, tokens: int) -> tuple[float, float]:
        """Seconds until the last of so many answers has ended, and the mean tokens of their prompts."""
        asked = [self._request(words, tokens) for _ in range(sequences)]
        began = self._clock.now()
        for request in asked:
            self._engine.submit(request)
        ended: list[Completion] = []
        while len(ended) < sequences:
            ended += await self._engine.ready()
        took = self._clock.now() - began
        return took, fmean(_counted(completion, tokens) for completion in ended)

    def _request(self, words: int, tokens: int) -> Request:
        number = next(self._numbers)
        text = " ".join(self._rng.choice(_WORDS) for _ in range(words))
        sampling = Sampling(temperature=1.0, max_tokens=tokens)
        return Request(RequestId(ProgramId("measured"), number), f"{number} {text}", sampling)


def _counted(completion: Completion, tokens: int) -> int:
    """The tokens of the prompt of a request that was to generate so many."""
    if completion.finish is Finish.FAILED:
        raise EngineError(f"a request failed: {completion.error}", retryable=completion.retryable)
    if completion.prompt_tokens is None:
        raise EngineError("the server does not count the tokens of prompts, so nothing can be fitted", retryable=False)
    if completion.tokens != tokens:
        raise EngineError(
            f"an answer ended after {completion.tokens} tokens of {tokens}; the server must honour ignore_eos, and its"
            " context must hold prompt and answer",
            retryable=False,
        )
    return completion.prompt_tokens
