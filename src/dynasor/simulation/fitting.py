"""From a live engine to the line of its steps: which experiments are made, and what is made of them."""

from dataclasses import dataclass
from itertools import product
from statistics import fmean

from dynasor.clock import Clock
from dynasor.engines.engine import Engine
from dynasor.simulation.cost import Linear
from dynasor.simulation.fit import PROMPT_TOKENS, MeasuredStep, fit_linear
from dynasor.simulation.kernel import SECOND
from dynasor.simulation.measure import Probe

SHORT_WORDS = 16


@dataclass(frozen=True, slots=True)
class Wanted:
    """How much is measured.

    Attributes:
        most: requests at a time, at most.
        longest_prompt: of the prompts, in words, each of which is at least a token.
        repeats: of each experiment, the quickest of which counts.
    """

    most: int = 32
    longest_prompt: int = 256
    repeats: int = 3


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was found.

    Attributes:
        line: seconds for a step, a sequence, a prompt token and a cached token, by the names of `Linear`.
        request_s: what a request takes beside its steps.
        steps: what was measured of decoding.
        error: mean relative error of the line over these.
    """

    line: dict[str, float]
    request_s: float
    steps: tuple[MeasuredStep, ...]
    error: float


async def fitted(engine: Engine, clock: Clock, wanted: Wanted) -> Fitted:
    """Measure an engine that does nothing else.

    Raises:
        EngineError: where it does not do its part.
        UsageError: where its steps cannot be told apart.
    """
    probe = Probe(engine, clock)
    await probe.decoding(1, SHORT_WORDS, 1)  # the first request of all may be slow
    sizes = product(doubling(wanted.most), (SHORT_WORDS, wanted.longest_prompt))
    steps = [await probe.decoding(sequences, words, wanted.repeats) for sequences, words in sizes]
    prompts = await probe.prompts(wanted.longest_prompt, wanted.repeats)
    cost = fit_linear(steps, left_out=(PROMPT_TOKENS,))
    step_s = cost.step_ps(0, 0, 0) / SECOND
    sequence_s = cost.step_ps(1, 0, 0) / SECOND - step_s
    line = {
        "step_s": step_s,
        "sequence_s": sequence_s,
        "prompt_token_s": prompts.token_s,
        "kv_token_s": cost.kv_token_ps / SECOND,
    }
    return Fitted(line, max(0.0, prompts.base_s - step_s), tuple(steps), _error(cost, steps))


def doubling(most: int) -> list[int]:
    """1, 2, 4 and so on, and the most."""
    found = [1]
    while 2 * found[-1] <= most:
        found.append(2 * found[-1])
    return found if found[-1] == most else [*found, most]


def _error(cost: Linear, steps: list[MeasuredStep]) -> float:
    told = [(cost.step_ps(step.decoding, 0, 0) + cost.kv_token_ps * step.kv_tokens) / SECOND for step in steps]
    return fmean(abs(one - step.duration_s) / step.duration_s for one, step in zip(told, steps, strict=True))
