"""`python -m dynasor.bench.plugin_inside PART ...`, in the interpreter of vLLM: measures, and prints rows as JSON."""

import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from dynasor.bench.plugin_cost import costs
from dynasor.bench.plugin_pressure import pressed
from dynasor.bench.plugin_steps import points


def rows(part: str, model: Path, sizes: tuple[int, ...]) -> Iterable[msgspec.Struct]:
    """The rows of "steps" (for so many seeds), "pressure", "cost" (for so many waiting) or "whole" (rounds)."""
    if part == "steps":
        return points(model, *sizes)
    if part == "whole":  # which loads the model, and more of vLLM
        from dynasor.bench.plugin_whole import windows  # noqa: PLC0415

        return windows(model, *sizes)
    return pressed(model) if part == "pressure" else costs(model, sizes)


def main(arguments: list[str]) -> None:
    """Write rows as they come."""
    part, model, *sizes = arguments
    for row in rows(part, Path(model), tuple(map(int, sizes))):
        sys.stdout.buffer.write(msgspec.json.encode(row) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
