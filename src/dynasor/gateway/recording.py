"""A span that has ended, and who takes it: the seam between what is traced and the SDK that sends it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from dynasor.gateway.span_attributes import Attributes
from dynasor.gateway.trace_context import TraceContext


class Kind(Enum):
    """A span's part in a conversation of servers."""

    SERVER = "server"
    CLIENT = "client"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One that has ended.

    Attributes:
        began_ns, ended_ns: of the epoch.
        events: names, nanoseconds of the epoch, and what they say.
        error: a word for what went wrong; None where nothing did.
    """

    name: str
    kind: Kind
    context: TraceContext
    parent: TraceContext | None
    began_ns: int
    ended_ns: int
    attributes: Attributes
    events: tuple[tuple[str, int, Attributes], ...] = ()
    error: str | None = None


class Recording(Protocol):
    """Takes spans, and gives them their places."""

    def begin(self, told: Mapping[str, str], name: str) -> tuple[TraceContext, TraceContext | None]:
        """A request's place in the trace that its client tells of, or in one of its own; and the client's place."""
        ...

    def below(self, context: TraceContext) -> TraceContext:
        """A place of its own in the same trace."""
        ...

    def record(self, span: Span) -> None:
        """Keep it, or drop it; never wait."""
        ...

    def close(self) -> None:
        """Send the last of them; it may block for a little."""
        ...
