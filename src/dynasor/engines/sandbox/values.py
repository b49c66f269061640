"""Plain Python values as JSON and back, so that a process can be told what a program gave without trusting it.

Only values of Python's own plain types cross, of the exact types: whatever a program's objects do when they are
compared stays in its process. The standard library alone is used, as the worker has no other.
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

MOST_ITEMS = 1 << 20
"""Taken of an iterator, which may not end."""


class Foreign:
    """What stands for a value of another type: equal to nothing."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{self.kind}>"


def encoded(value: Any) -> Any:
    """The value in terms of JSON. Raises RecursionError where it holds itself."""
    if value is None or isinstance(value, bool | str):
        return value
    for name, kind, encode in _ENCODINGS:
        if isinstance(value, kind):
            return {name: encode(value)}
    return {"foreign": type(value).__name__}


def decoded(value: Any) -> Any:
    """The value again; raises a ValueError, TypeError or RecursionError where `encoded` cannot have made it."""
    if value is None or isinstance(value, bool | str):
        return value
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("not an encoded value")
    ((name, held),) = value.items()
    if name not in _DECODINGS:
        raise ValueError("not an encoded value")
    return _DECODINGS[name](held)


def _list(value: Any) -> list[Any]:
    return list(map(encoded, value))


_VIEWS: tuple[type, ...] = (range, type({}.keys()), type({}.values()), type({}.items()))

_ENCODINGS: tuple[tuple[str, Any, Callable[[Any], Any]], ...] = (
    ("int", int, hex),  # the decimal digits of a large one take quadratic time, and have a limit
    ("float", float, float.hex),
    ("complex", complex, lambda value: [value.real.hex(), value.imag.hex()]),
    ("bytes", bytes | bytearray, lambda value: value.hex()),
    ("dict", dict, lambda value: [[encoded(key), encoded(item)] for key, item in value.items()]),
    ("list", list, _list),
    ("tuple", tuple, _list),
    ("set", set, _list),
    ("frozenset", frozenset, _list),
    ("deque", deque, _list),
    ("iterator", Iterator, lambda value: _list(islice(value, MOST_ITEMS))),
    ("list", _VIEWS, _list),
)

_DECODINGS: dict[str, Callable[[Any], Any]] = {
    "int": lambda held: int(held, 16),
    "float": float.fromhex,
    "complex": lambda held: complex(*map(float.fromhex, held)),
    "bytes": bytes.fromhex,
    "dict": lambda held: {decoded(key): decoded(item) for key, item in held},
    "list": lambda held: list(map(decoded, held)),
    "tuple": lambda held: tuple(map(decoded, held)),
    "set": lambda held: set(map(decoded, held)),
    "frozenset": lambda held: frozenset(map(decoded, held)),
    "deque": lambda held: deque(map(decoded, held)),
    "iterator": lambda held: iter(list(map(decoded, held))),
    "foreign": lambda held: Foreign(str(held)),
}
