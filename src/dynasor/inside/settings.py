"""How a scheduler of ours inside an engine is told what to do: by JSON."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from dynasor.errors import UsageError


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a user may set inside any engine.

    Attributes:
        ordering: as `dynasor run --ordering` reads it, such as `aging:patience=8+gang+sjf`.
        branch_tokens: the length of a branch before any has landed.
        memory_s: seconds for which a program without requests is remembered: its place, its estimates.
        orders_victims: whether preemption takes the last program first; else what the engine takes.
    """

    ordering: str = "dynasor"
    branch_tokens: float = 256.0
    memory_s: float = 60.0
    orders_victims: bool = True

    def __post_init__(self) -> None:
        """Refuse times and lengths below nothing."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, int | float) and not value >= 0:
                raise UsageError(f"{name} is {value}; it must be at least 0")


S = TypeVar("S", bound=Settings)


def decoded(kind: type[S], text: str, section: Mapping[str, Any]) -> S:
    """Settings of a kind by a JSON text, and by a section that goes before it.

    Raises:
        UsageError: something in them is malformed or unknown.
    """
    try:
        told = msgspec.json.decode(text, type=dict[str, Any])
        return msgspec.convert({**told, **section}, kind)
    except (msgspec.DecodeError, TypeError) as fault:
        known = ", ".join(kind.__struct_fields__)
        raise UsageError(f"the plug-in's settings cannot be read: {fault} (known: {known})") from fault
