"""Numbers that a run cannot be asked for are refused with their name, before anything is read."""

from collections.abc import Sequence
from math import isfinite

from dynasor.errors import UsageError
from dynasor.request import Sampling


def whole(name: str, value: object, least: int | None = None) -> None:
    """Raise a UsageError where a value is not a whole number, or too small."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"the {name} is {value!r}; it must be a whole number")
    if least is not None and value < least:
        raise UsageError(f"the {name} is {value}; it must be at least {least}")


def share(name: str, value: object) -> None:
    """Raise a UsageError where a value is not above 0 and at most 1."""
    if not _number(value) or not 0 < value <= 1:  # type: ignore[operator]
        raise UsageError(f"the {name} is {value!r}; it must be above 0 and at most 1")


def above_zero(name: str, value: object) -> None:
    """Raise a UsageError where a value is not above 0."""
    if not _number(value) or not value > 0:  # type: ignore[operator]
        raise UsageError(f"the {name} is {value!r}; it must be above 0")


def serving(concurrency: object, deadline_s: object, outage_s: object, auto: str) -> None:
    """Raise a UsageError where no server could be asked so."""
    if concurrency != auto:
        whole("concurrency", concurrency, 1)
    if deadline_s is not None:
        above_zero("deadline", deadline_s)
    if not _number(outage_s) or outage_s < 0:  # type: ignore[operator]
        raise UsageError(f"the outage is {outage_s!r}; it must be a number of at least 0")


def sampling(asked: Sampling) -> None:
    """Raise a UsageError where no server could sample so."""
    if not _number(asked.temperature) or asked.temperature < 0:
        raise UsageError(f"the temperature is {asked.temperature!r}; it must be a number of at least 0")
    if not _number(asked.top_p) or not 0 < asked.top_p <= 1:
        raise UsageError(f"top_p is {asked.top_p!r}; it must be above 0 and at most 1")
    whole("max_tokens", asked.max_tokens, 1)
    stop: object = asked.stop
    if isinstance(stop, str) or not isinstance(stop, Sequence) or not all(isinstance(s, str) and s for s in stop):
        raise UsageError(f"stop is {stop!r}; it must be a tuple of texts that are not empty")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
