"""A cost model from measured steps, by least squares. Knows nothing of how they were measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from dynasor.errors import UsageError
from dynasor.simulation.cost import Linear

_NAMES = ("steps", "decoding sequences", "prompt tokens", "cached tokens")


@dataclass(frozen=True, slots=True)
class MeasuredStep:
    """What a step had to do, and how long it took.

    Attributes:
        kv_tokens: tokens that the decoding sequences attended to, all together.
    """

    decoding: int
    prompt_tokens: int
    kv_tokens: int
    duration_s: float


def fit_linear(steps: Sequence[MeasuredStep]) -> Linear:
    """The line with the least squared error; what would have to be negative is left out, and the rest fitted again.

    Raises:
        UsageError: where the steps cannot tell a part of the line from the others.
    """
    rows = [(1.0, float(step.decoding), float(step.prompt_tokens), float(step.kv_tokens)) for step in steps]
    times = [step.duration_s for step in steps]
    kept = list(range(len(_NAMES)))
    while True:
        found = _least_squares([[row[i] for i in kept] for row in rows], times, [_NAMES[i] for i in kept])
        least = min(range(len(kept)), key=found.__getitem__)
        if found[least] >= 0:
            break
        del kept[least]
        if not kept:
            raise UsageError("the measured steps take no time; measure again")
    line = dict(zip(kept, found, strict=True))
    return Linear(
        step_s=line.get(0, 0.0),
        sequence_s=line.get(1, 0.0),
        prompt_token_s=line.get(2, 0.0),
        kv_token_s=line.get(3, 0.0),
    )


def _least_squares(rows: Sequence[Sequence[float]], times: Sequence[float], names: Sequence[str]) -> list[float]:
    """By the normal equations, over columns that are scaled to a greatest value of 1."""
    width = len(names)
    scales = [max((abs(row[i]) for row in rows), default=0.0) or 1.0 for i in range(width)]
    scaled = [[row[i] / scales[i] for i in range(width)] for row in rows]
    equations = [
        [sum(row[i] * row[j] for row in scaled) for j in range(width)]
        + [sum(row[i] * time for row, time in zip(scaled, times, strict=True))]
        for i in range(width)
    ]
    return [found / scale for found, scale in zip(_solved(equations, names), scales, strict=True)]


def _solved(equations: list[list[float]], names: Sequence[str]) -> list[float]:
    """Gauss and Jordan; a symmetric positive matrix needs no exchange of rows."""
    floor = 1e-9 * max((row[i] for i, row in enumerate(equations)), default=0.0)
    for i, row in enumerate(equations):
        if row[i] <= floor:
            raise UsageError(f"the measured steps do not tell what {names[i]} cost; measure steps that differ in them")
        pivot = row[i]
        row[:] = [value / pivot for value in row]
        for other in equations:
            if other is not row:
                factor = other[i]
                other[:] = [value - factor * own for value, own in zip(other, row, strict=True)]
    return [row[-1] for row in equations]
