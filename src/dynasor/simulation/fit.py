"""A cost model from measured steps, by least squares. Knows nothing of how they were measured."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dynasor.errors import UsageError
from dynasor.simulation.cost import Linear

PROMPT_TOKENS = 2
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


def fit_linear(steps: Sequence[MeasuredStep], left_out: Collection[int] = ()) -> Linear:
    """The line with the least squared relative error.

    What would have to be negative is left out, and the rest fitted again.

    Args:
        steps: what was measured.
        left_out: parts of the line that are known to be 0, such as `PROMPT_TOKENS` where no step has any.

    Raises:
        UsageError: where the steps cannot tell a part of the line from the others.
    """
    if any(not step.duration_s > 0 for step in steps):
        raise UsageError("a measured step takes no time; measure again")
    rows = [
        [value / step.duration_s for value in (1.0, step.decoding, step.prompt_tokens, step.kv_tokens)]
        for step in steps
    ]
    times = [1.0] * len(steps)
    kept = [i for i in range(len(_NAMES)) if i not in left_out]
    while True:
        found = _least_squares([[row[i] for i in kept] for row in rows], times, [_NAMES[i] for i in kept])
        least = min(range(len(kept)), key=found.__getitem__)
        if found[least] >= 0:
            break
        del kept[least]
        if not {0, 1} & set(kept):
            raise UsageError("the measured steps take no time of their own; measure again, on a machine that is quiet")
    line = dict(zip(kept, found, strict=True))
    return Linear(
        step_s=line.get(0, 0.0),
        sequence_s=line.get(1, 0.0),
        prompt_token_s=line.get(2, 0.0),
        kv_token_s=line.get(3, 0.0),
    )


def fit_line(sizes: Sequence[float], times: Sequence[float]) -> tuple[float, float]:
    """The straight line with the least squared error: its value at 0, and its slope; neither is below 0.

    Raises:
        UsageError: where all sizes are the same.
    """
    base, slope = _least_squares([[1.0, size] for size in sizes], times, ["steps", "prompt tokens"])
    return max(0.0, base), max(0.0, slope)


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
