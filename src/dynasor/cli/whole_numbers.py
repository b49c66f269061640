"""Options that take several whole numbers."""

from dynasor.errors import UsageError


def whole_numbers(option: str, text: str, *, least: int = 1, why: str = "", such: str = "5,10,20") -> tuple[int, ...]:
    """The numbers of an option, in their order.

    Args:
        option: as it is written, such as `--caps`.
        text: what was given.
        least: that each may be.
        why: no less; empty: it is said that it must be.
        such: an example.

    Raises:
        UsageError: they are none, or one is too small.
    """
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        told = f"{option} is '{text}'; write whole numbers with commas between them, such as {such}"
        raise UsageError(told) from None
    if too_small := [number for number in numbers if number < least]:
        raise UsageError(f"{option} has {too_small[0]}; {why or f'it must be at least {least}'}")
    return numbers
