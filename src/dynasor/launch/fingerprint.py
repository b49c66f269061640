"""What a policy or a program that was handed over in Python is called in a journal, in every process alike.

It is known by its source and its settings. No name holds a memory address, for then nothing could ever be resumed.
"""

import inspect
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from hashlib import sha256
from types import FunctionType, MethodType

from dynasor.allocation.progress import Policy
from dynasor.programs.program import Program

_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")


def policy_name(policy: Policy) -> str:
    """A dataclass as it prints itself; anything else by its place and the digest of its source."""
    if is_dataclass(policy) and not _ADDRESS.search(repr(policy)):
        return repr(policy)
    return _named(policy)


def algorithm_name(algorithm: type[Program]) -> str:
    """The place of a class, and the digest of its source and its settings."""
    named = _named(algorithm)
    return named if algorithm.settings is None else f"{named} {algorithm.settings!r}"


def digest(text: str) -> str:
    """Twelve hexadecimal digits."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _named(thing: object) -> str:
    return _told(thing, _bound(thing))


def _told(thing: object, bound: list[str]) -> str:
    home = _home(thing)
    place = f"{getattr(home, '__module__', '')}.{getattr(home, '__qualname__', '')}".strip(".")
    parts = [_source(home), *bound]
    return f"{place} ({digest(chr(0).join(parts))})" if any(parts) else place


def _home(thing: object) -> object:
    """The function or the class whose source tells what a thing does."""
    while isinstance(thing, partial):
        thing = thing.func
    if isinstance(thing, MethodType):
        return thing.__func__
    return thing if isinstance(thing, FunctionType | type) else type(thing)


def _source(home: object) -> str:
    try:
        return inspect.getsource(home)  # type: ignore[arg-type]
    except (OSError, TypeError):  # written at a prompt, or in another language
        return ""


def _bound(thing: object) -> list[str]:
    """The values that tell two things of one source apart: settings, defaults, and what a closure has caught."""
    if isinstance(thing, partial):
        return [*_bound(thing.func), *map(_plain, thing.args), _plain(thing.keywords)]
    if isinstance(thing, MethodType):
        return [*_bound(thing.__func__), *_bound(thing.__self__)]
    if isinstance(thing, FunctionType):
        caught = inspect.getclosurevars(thing).nonlocals
        return [_plain(value) for value in (thing.__defaults__, thing.__kwdefaults__, caught) if value]
    if isinstance(thing, type):
        return []
    if is_dataclass(thing):  # its fields may be slots
        return [_plain({field.name: getattr(thing, field.name) for field in fields(thing)})]
    settings = getattr(thing, "__dict__", {})
    return [_plain(settings)] if settings else []


def _plain(value: object) -> str:
    """A value as it prints itself; the name of what would print an address."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_plain(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, set | frozenset):
        return str(sorted(map(_plain, value)))
    if isinstance(value, list | tuple):
        return str([_plain(inner) for inner in value])
    text = repr(value)
    return _told(value, []) if _ADDRESS.search(text) else text  # not deeper: a function may have caught itself
