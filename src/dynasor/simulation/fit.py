"""The times of an engine from experiments: those under which a simulated engine takes as long as the live one did.

An experiment is several requests at once, of which only the time to the end of the last is known. What they wait for in
it, and what steps they share, is not added up by hand but simulated, so that what is fitted is what will be simulated.
The simulated time is a sum of the times of an engine, as often as each is waited for: least squares over these numbers
come near, under several times of an entry, as the numbers jump where a request just misses a step. Small moves of the
times, one or two together, do the rest.
Knows nothing of how experiments are made.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from math import hypot
from operator import mul
from statistics import fmean

from dynasor.errors import UsageError
from dynasor.request import ProgramId, RequestId
from dynasor.simulation.accelerator import Accelerator
from dynasor.simulation.cost import CostModel, Linear
from dynasor.simulation.kernel import Kernel, picoseconds
from dynasor.simulation.kv_cache import KvCache
from dynasor.simulation.limits import Limits
from dynasor.simulation.replica import Replica
from dynasor.simulation.requests import Served, SimulatedRequest

_ENTRIES = (1e-9, 3e-4, 1e-3, 3e-3, 1e-2)
_ROUNDS = 2  # of least squares, each over the numbers under what the one before has found
_MOVES = (1.4, 1.1, 1.03, 1.01)  # factors
_SWEEPS = 12  # of moves of one size, at most
_USUAL = 0.02  # greater errors count by their size, smaller ones by their squares
_ENOUGH = 1e-5  # of the mean error


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds: of a step, of a sequence in it, a prompt token, a token of the cache; of a request, before and after.

    Attributes:
        entry_s: before a request comes to the engine, one request after the other.
        request_s: between its last step and whoever asked.
    """

    step_s: float = 1e-3
    sequence_s: float = 1e-4
    prompt_token_s: float = 1e-5
    kv_token_s: float = 1e-8
    entry_s: float = 1e-3
    request_s: float = 1e-3


_NUDGES = {"step_s": 1e-4, "sequence_s": 1e-5, "prompt_token_s": 1e-6, "kv_token_s": 1e-8, "request_s": 1e-4}
"""Seconds: as much more is tried; and what least squares leave at none begins there, so that factors can move it."""

_WORDS = ("steps", "sequences", "prompt tokens", "cached tokens", "requests")


@dataclass(frozen=True, slots=True)
class Timing:
    """One experiment: so many requests at once, of so many tokens each, and how long until the last had ended.

    Attributes:
        spread: how far repetitions differed from `duration_s`, their median: the median of the differences over it.
    """

    requests: int
    prompt_tokens: int
    tokens: int
    duration_s: float
    spread: float = 0.0


@dataclass(frozen=True, slots=True)
class Fit:
    """What was found.

    Attributes:
        errors: of the simulated experiments, relative to the live ones and signed, in their order.
    """

    times: Times
    errors: tuple[float, ...]

    @property
    def mean_error(self) -> float:
        """The mean size of the errors."""
        return fmean(map(abs, self.errors))


def simulated_s(timing: Timing, cost: CostModel, limits: Limits, *, entry_s: float, request_s: float) -> float:
    """How long an experiment takes on a simulated engine."""
    kernel, ended = Kernel(), list[Served]()
    cache = KvCache(timing.requests * (timing.prompt_tokens + timing.tokens), 1)
    replica = Replica(kernel, Accelerator(cost, cache, limits), ended.append, picoseconds(entry_s))
    for number in range(timing.requests):
        replica.submit(
            SimulatedRequest(
                id=RequestId(ProgramId("timed"), number),
                prompt_tokens=timing.prompt_tokens,
                output_tokens=timing.tokens,
            )
        )
    kernel.run()
    return max(served.ended_at for served in ended) + request_s


def fit(timings: Sequence[Timing], limits: Limits) -> Fit:
    """The times under which the errors are least, those of a few bad experiments by their sizes alone.

    Raises:
        UsageError: where the experiments cannot tell one time from another.
    """
    if any(not timing.duration_s > 0 for timing in timings):
        raise UsageError("an experiment took no time; measure again")
    times = _moved(timings, _nearest(timings, limits), limits)
    return Fit(times, tuple(_errors(timings, times, limits)))


def _nearest(timings: Sequence[Timing], limits: Limits) -> Times:
    """The best over several times of an entry; under some of them there may be none."""
    near, refusal = [], UsageError("nothing was measured")
    for entry_s in _ENTRIES:
        try:
            near.append(_near(timings, Times(entry_s=entry_s), limits))
        except UsageError as fault:
            refusal = fault
    if not near:
        raise refusal
    return min(near, key=lambda times: _loss(timings, times, limits))


def _moved(timings: Sequence[Timing], times: Times, limits: Limits) -> Times:
    """Let each time grow or shrink, or one grow and another shrink, as long as that helps."""
    least = _loss(timings, times, limits)
    for factor in _MOVES:
        for _ in range(_SWEEPS):
            before = least
            for move in _moves(factor):
                moved = Times(*(value * by for value, by in zip(astuple(times), move, strict=True)))
                loss = _loss(timings, moved, limits)
                if loss < least:
                    times, least = moved, loss
            if least > before - _ENOUGH:
                break
    return times


def _moves(factor: float) -> list[list[float]]:
    places = range(len(astuple(Times())))
    signs = [(up, down) for up in (*places, None) for down in (*places, None) if up != down]
    return [[factor ** ((place == up) - (place == down)) for place in places] for up, down in signs]


def _loss(timings: Sequence[Timing], times: Times, limits: Limits) -> float:
    return fmean(hypot(error, _USUAL) for error in _errors(timings, times, limits))


def _errors(timings: Sequence[Timing], times: Times, limits: Limits) -> list[float]:
    return [_told_s(timing, times, limits) / timing.duration_s - 1 for timing in timings]


def _near(timings: Sequence[Timing], times: Times, limits: Limits) -> Times:
    """The other times beside an entry's."""
    for _ in range(_ROUNDS):
        found = _fitted(timings, times, limits)
        times = replace(found, **{name: max(nudge, getattr(found, name)) for name, nudge in _NUDGES.items()})
    return times


def _fitted(timings: Sequence[Timing], near: Times, limits: Limits) -> Times:
    """Least squares over how much longer each experiment takes with a little more of each time but an entry's."""
    rows, rest = [], []
    for timing in timings:
        told = _told_s(timing, near, limits)
        row = [(_told_s(timing, more, limits) - told) / by / timing.duration_s for more, by in _nudged(near)]
        rows.append(row)
        rest.append(1.0 - told / timing.duration_s + sum(map(mul, row, _others(near))))
    step_s, sequence_s, prompt_token_s, kv_token_s, request_s = nonnegative(rows, rest, _WORDS)
    return Times(step_s, sequence_s, prompt_token_s, kv_token_s, near.entry_s, request_s)


def _others(times: Times) -> list[float]:
    return [times.step_s, times.sequence_s, times.prompt_token_s, times.kv_token_s, times.request_s]


def _nudged(times: Times) -> list[tuple[Times, float]]:
    found = []
    for name, nudge in _NUDGES.items():
        value = getattr(times, name)
        by = max(0.3 * value, nudge)
        found.append((replace(times, **{name: value + by}), by))
    return found


def _told_s(timing: Timing, times: Times, limits: Limits) -> float:
    line = Linear(
        step_s=times.step_s,
        sequence_s=times.sequence_s,
        prompt_token_s=times.prompt_token_s,
        kv_token_s=times.kv_token_s,
    )
    return simulated_s(timing, line, limits, entry_s=times.entry_s, request_s=times.request_s)


def nonnegative(rows: Sequence[Sequence[float]], values: Sequence[float], names: Sequence[str]) -> list[float]:
    """What each column counts for, by least squares; what would be below 0 is left out, and the rest fitted again.

    Raises:
        UsageError: where a column cannot be told from the others.
    """
    kept = list(range(len(names)))
    while True:
        found = _least_squares([[row[i] for i in kept] for row in rows], values, [names[i] for i in kept])
        least = min(range(len(kept)), key=found.__getitem__)
        if found[least] >= 0:
            break
        del kept[least]
        if not kept:
            raise UsageError("the experiments took less time the more was asked; measure again")
    line = dict(zip(kept, found, strict=True))
    return [line.get(place, 0.0) for place in range(len(names))]


def _least_squares(rows: Sequence[Sequence[float]], values: Sequence[float], names: Sequence[str]) -> list[float]:
    """By the normal equations, over columns that are scaled to a greatest value of 1."""
    width = len(names)
    scales = [max((abs(row[i]) for row in rows), default=0.0) or 1.0 for i in range(width)]
    scaled = [[row[i] / scales[i] for i in range(width)] for row in rows]
    equations = [
        [sum(row[i] * row[j] for row in scaled) for j in range(width)]
        + [sum(row[i] * value for row, value in zip(scaled, values, strict=True))]
        for i in range(width)
    ]
    return [found / scale for found, scale in zip(_solved(equations, names), scales, strict=True)]


def _solved(equations: list[list[float]], names: Sequence[str]) -> list[float]:
    """Gauss and Jordan; a symmetric positive matrix needs no exchange of rows."""
    floor = 1e-9 * max((row[i] for i, row in enumerate(equations)), default=0.0)
    for i, row in enumerate(equations):
        if row[i] <= floor:
            raise UsageError(f"the experiments do not tell what {names[i]} cost; make some that differ in them")
        pivot = row[i]
        row[:] = [value / pivot for value in row]
        for other in equations:
            if other is not row:
                factor = other[i]
                other[:] = [value - factor * own for value, own in zip(other, row, strict=True)]
    return [row[-1] for row in equations]
