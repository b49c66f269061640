"""Text to values: `name:key=value,...` specifications, checked against the class that they name.

It knows no concrete class; `wiring` hands it the known ones.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

from dynasor.errors import UnknownName, UsageError


@dataclass(frozen=True, slots=True)
class Specification:
    """A name and its options, as text."""

    name: str
    options: Mapping[str, str]


def parse_specification(text: str) -> Specification:
    """Read `name` or `name:key=value,key=value`.

    Raises:
        UsageError: where an option has no `=`, or comes twice.
    """
    name, _, rest = text.strip().partition(":")
    options: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in rest.split(","))):
        key, equals, value = part.partition("=")
        if not equals or not value.strip():
            raise UsageError(f"'{part}' in '{text}' is not an option; write {name}:key=value,key=value")
        if key.strip() in options:
            raise UsageError(f"'{key.strip()}' is given twice in '{text}'")
        options[key.strip()] = value.strip()
    return Specification(name.strip(), options)


def build(kind: str, text: str, known: Mapping[str, Callable[..., Any]]) -> Any:
    """Make what a specification names, from dataclasses whose fields are numbers or text.

    Raises:
        UnknownName: for a name or an option that is not known.
        UsageError: for a value of the wrong type, an option that is missing, or a value that the class refuses.
    """
    specification = parse_specification(text)
    if specification.name not in known:
        raise UnknownName(kind, specification.name, known)
    made = known[specification.name]
    values = _values(kind, text, made)
    needed = [f.name for f in fields(made) if f.default is MISSING and f.default_factory is MISSING]  # type: ignore[arg-type]
    if missing := [name for name in needed if name not in values]:
        raise UsageError(f"{kind} {specification.name} needs {missing[0]}: {specification.name}:{missing[0]}=...")
    return made(**values)


def changed(kind: str, text: str, settings: Any) -> Any:
    """Settings with those that a specification names in place of their own.

    Raises:
        UnknownName: for an option that is not known.
        UsageError: for a value of the wrong type, or one that the class refuses.
    """
    return replace(settings, **_values(kind, text, type(settings)))


def _values(kind: str, text: str, made: Any) -> dict[str, int | float | str]:
    specification = parse_specification(text)
    types = {field.name: field.type for field in fields(made)}
    for name in specification.options:
        if name not in types:
            raise UnknownName(f"option of {kind} {specification.name}", name, types or ["none"])
    return {name: _value(text, name, value, types[name]) for name, value in specification.options.items()}


def describe(name: str, made: object, without: Collection[str] = ()) -> str:
    """The canonical specification of what `build` made: every option but those left out, in the order of the class."""
    named = [field.name for field in fields(made) if field.name not in without]  # type: ignore[arg-type]
    options = ",".join(f"{option}={getattr(made, option)!r}" for option in named)
    return f"{name}:{options}" if options else name


def _value(text: str, name: str, value: str, kind: Any) -> int | float | str:
    if kind in (str, "str"):
        return value
    try:
        return int(value) if kind in (int, "int") else float(value)
    except ValueError as fault:
        wanted = "a whole number" if kind in (int, "int") else "a number"
        raise UsageError(f"{name} in '{text}' must be {wanted}, not '{value}'") from fault
