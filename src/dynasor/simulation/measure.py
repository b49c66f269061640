"""What an engine takes, as seen from outside: experiments on anything that is an `Engine`.

It knows no server and no model. What else runs on the machine while it is measured, is measured too: so all experiments
are made once, then all of them again, in another order, and of each the median counts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random
from statistics import fmean, median

from dynasor.clock import Clock
from dynasor.engines.engine import Engine
from dynasor.errors import EngineError
from dynasor.request import Completion, Finish, ProgramId, Request, RequestId, Sampling
from dynasor.simulation.fit import Timing

_ON = {"ignore_eos": True}
_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet", "jetty", "knoll", "larch")


@dataclass(frozen=True, slots=True)
class Experiment:
    """So many requests at once, each with a prompt of so many words, and an answer of so many tokens."""

    requests: int
    words: int
    tokens: int


class Probe:
    """Makes experiments on one engine.

    Args:
        engine: does nothing else.
        clock: the engine's own.
        seed: of the prompts, of which no two begin alike: none is found in a cache.
    """

    def __init__(self, engine: Engine, clock: Clock, seed: int = 0) -> None:
        self._engine, self._clock = engine, clock
        self._rng = Random(f"{seed}/measured prompts")
        self._numbers: Iterator[int] = count()

    async def timings(self, experiments: Sequence[Experiment], repeats: int) -> list[Timing]:
        """Make every experiment so many times, all of them in turns.

        Raises:
            EngineError: where a request fails, ends early, or is not counted.
        """
        found: dict[Experiment, list[tuple[float, float]]] = {experiment: [] for experiment in experiments}
        for _ in range(repeats):
            for experiment in self._rng.sample(list(found), len(found)):
                found[experiment].append(await self.together(experiment))
        return [_timing(experiment, found[experiment]) for experiment in experiments]

    async def together(self, experiment: Experiment) -> tuple[float, float]:
        """Seconds until the last of the answers has ended, and the mean tokens of their prompts.

        Raises:
            EngineError: as for `timings`.
        """
        asked = [self._request(experiment) for _ in range(experiment.requests)]
        began = self._clock.now()
        for request in asked:
            self._engine.submit(request)
        ended: list[Completion] = []
        while len(ended) < len(asked):
            ended += await self._engine.ready()
        took = self._clock.now() - began
        return took, fmean(_counted(completion, experiment.tokens) for completion in ended)

    def _request(self, experiment: Experiment) -> Request:
        number = next(self._numbers)
        text = " ".join(self._rng.choice(_WORDS) for _ in range(experiment.words))
        sampling = Sampling(temperature=1.0, max_tokens=experiment.tokens)
        return Request(RequestId(ProgramId("measured"), number), f"{number} {text}", sampling, extra_body=dict(_ON))


def _timing(experiment: Experiment, found: Sequence[tuple[float, float]]) -> Timing:
    middle = median(took for took, _ in found)
    spread = median(abs(took - middle) for took, _ in found) / middle if middle else 0.0
    prompt_tokens = max(1, round(fmean(tokens for _, tokens in found)))
    return Timing(experiment.requests, prompt_tokens, experiment.tokens, middle, spread)


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
