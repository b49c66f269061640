"""From a live engine to the times of its model: which experiments are made, and whether what comes of them is good."""

from dataclasses import dataclass
from itertools import product
from statistics import median

from dynasor.clock import Clock
from dynasor.engines.engine import Engine
from dynasor.errors import EngineError
from dynasor.simulation.fit import Times, Timing, fit
from dynasor.simulation.limits import Limits
from dynasor.simulation.measure import Experiment, Probe

SHORT_WORDS = 16
ANSWER_TOKENS = (1, 24, 96)
"""One token shows what comes before it, many what each more takes."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How much is measured.

    Attributes:
        most: requests at a time, at most.
        longest_prompt: of the prompts, in words, each of which is at least a token.
        repeats: of each experiment; their median counts.
        most_error: of the fitted experiments, on average; 0.1 is ten per cent. What is worse is refused.
    """

    most: int = 32
    longest_prompt: int = 256
    repeats: int = 5
    most_error: float = 0.1


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was found.

    Attributes:
        timings: what was measured.
        errors: of the fitted times over these, relative and signed.
        error, worst_error: the mean and the greatest of their sizes.
        spread: how far repetitions of an experiment differed, on average.
    """

    times: Times
    timings: tuple[Timing, ...]
    errors: tuple[float, ...]
    error: float

    @property
    def worst_error(self) -> float:
        """The greatest size of the errors."""
        return max(map(abs, self.errors))

    @property
    def spread(self) -> float:
        """How far repetitions of an experiment are from their median: the median over all experiments."""
        return median(timing.spread for timing in self.timings)


async def fitted(engine: Engine, clock: Clock, wanted: Wanted, limits: Limits) -> Fitted:
    """Measure an engine that does nothing else.

    Args:
        engine: is asked.
        clock: the engine's own.
        wanted: how much is measured.
        limits: what the engine was started with.

    Raises:
        EngineError: where it does not do its part, or takes times that no such model has.
        UsageError: where its times cannot be told apart.
    """
    probe = Probe(engine, clock)
    await probe.together(Experiment(wanted.most, wanted.longest_prompt, 2))  # what comes first may be slow
    timings = await probe.timings(experiments(wanted), wanted.repeats)
    found = fit(timings, limits)
    told = Fitted(found.times, tuple(timings), found.errors, found.mean_error)
    if found.mean_error > wanted.most_error:
        raise EngineError(_refusal(told, wanted), retryable=True)
    return told


def experiments(wanted: Wanted) -> list[Experiment]:
    """1, 2, 4 requests and so on, with short and with long prompts, and answers of several lengths."""
    sizes = product(doubling(wanted.most), (SHORT_WORDS, wanted.longest_prompt), ANSWER_TOKENS)
    return [Experiment(*size) for size in sizes]


def doubling(most: int) -> list[int]:
    """1, 2, 4 and so on, and the most."""
    found = [1]
    while 2 * found[-1] <= most:
        found.append(2 * found[-1])
    return found if found[-1] == most else [*found, most]


def _refusal(found: Fitted, wanted: Wanted) -> str:
    told = (
        f"the fitted times are off by {100 * found.error:.0f} % on average, where {100 * wanted.most_error:.0f} % is"
        f" allowed, and repetitions differ by {100 * found.spread:.0f} %"
    )
    noisy = found.spread > wanted.most_error / 2
    cause = "other work runs on the machine" if noisy else "its steps are no line in sequences and tokens"
    return f"{told}: {cause}; measure again on a quiet machine, or allow more by --most-error"
