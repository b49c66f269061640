"""Which program a request is part of, in every spelling that clients and routers of today use.

The strongest goes first: what the body says of the program, then headers. An id that was meant for us is refused where
it cannot be one; a header that others invented may hold anything, and is passed over then.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dynasor.gateway.asked import Asked
from dynasor.gateway.refusals import Refused

OURS = b"x-dynasor-program-id"
SESSION_HEADERS = (
    b"x-session-id",  # vllm-router, Ray Serve
    b"x-dynamo-session-id",
    b"x-litellm-session-id",
    b"x-claude-code-session-id",
    b"x-correlation-id",  # AIPerf; the weakest, for some proxies give every request one of its own
)
FINAL_HEADER = b"x-dynamo-session-final"
"""Said with a program's last request."""
FORWARDED = frozenset({OURS, *SESSION_HEADERS, b"x-dynamo-parent-session-id", FINAL_HEADER})
"""What a backend is told as the client told it."""
LONGEST = 128
REMAINING_TOKENS = "dynasor_remaining_tokens"
"""An entry of `vllm_xargs`."""

_MOST_TOKENS = 1e15

_SOUND = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


@dataclass(frozen=True, slots=True)
class Identity:
    """A program as its client calls it.

    Attributes:
        id: None where the request names none: it is a program of its own.
        is_last: whether no more requests of it are to come.
        remaining_tokens: that its client estimates it to need yet, this request included; None: it does not tell.
    """

    id: str | None
    is_last: bool = False
    remaining_tokens: float | None = None


NOBODY = Identity(None)


def identify(asked: Asked, headers: Mapping[bytes, bytes]) -> Identity:
    """Read the program that a request names.

    Raises:
        Refused: it names one by an id that cannot be.
    """
    id = _id(asked, headers)
    return NOBODY if id is None else Identity(id, _is_last(headers), _remaining_tokens(asked))


def checked(field: str, id: str) -> str:
    """An id that is sound.

    Raises:
        Refused: it is not.
    """
    if not _is_sound(id):
        told = f"{field} must be 1 to {LONGEST} letters, digits, dots, colons, hyphens or underscores"
        raise Refused(400, told, "invalid_value", field)
    return id


def forwarded(headers: Mapping[bytes, bytes], identity: Identity, scope: str) -> dict[str, str]:
    """The headers that tell a backend of the program: as the client told it, and at least the most common of them.

    Args:
        headers: of the request.
        identity: as it was read.
        scope: of the id, so that programs of two tenants that chose one id stay apart.
    """
    told = {
        name.decode(): value.decode()
        for name, value in headers.items()
        if name in FORWARDED and _SOUND.fullmatch(value) is not None
    }
    if identity.id is not None:
        told.setdefault("x-session-id", f"{scope}:{identity.id}")
    return told


def _id(asked: Asked, headers: Mapping[bytes, bytes]) -> str | None:
    told = _told_in_body(asked)
    if told is not None:
        return checked(*told)
    if (ours := headers.get(OURS)) is not None:
        return checked(OURS.decode(), ours.decode("latin-1"))
    if asked.session_id is not None and _is_sound(asked.session_id):
        return asked.session_id
    for name in SESSION_HEADERS:
        if (id := headers.get(name)) is not None and _SOUND.fullmatch(id):
            return id.decode()
    return None


def _remaining_tokens(asked: Asked) -> float | None:
    """As the scheduler inside an engine is told; what is no number of tokens is passed over there too."""
    told = asked.vllm_xargs.get(REMAINING_TOKENS) if isinstance(asked.vllm_xargs, dict) else None
    if isinstance(told, int | float) and not isinstance(told, bool) and 0 <= told <= _MOST_TOKENS:
        return float(told)
    return None


def _told_in_body(asked: Asked) -> tuple[str, str] | None:
    if asked.program_id is not None:
        return "program_id", asked.program_id
    if isinstance(asked.dynasor, dict) and isinstance(id := asked.dynasor.get("program_id"), str):
        return "dynasor.program_id", id
    extra = asked.vllm_xargs
    if not isinstance(extra, dict):
        return None
    context = extra.get("agentic_context")
    if isinstance(context, dict) and isinstance(id := context.get("program_id"), str):
        return "vllm_xargs.agentic_context.program_id", id
    if isinstance(id := extra.get("dynasor_program"), str | int):
        return "vllm_xargs.dynasor_program", str(id)
    return None


def _is_sound(id: str) -> bool:
    return _SOUND.fullmatch(id.encode(errors="replace")) is not None


def _is_last(headers: Mapping[bytes, bytes]) -> bool:
    return headers.get(FINAL_HEADER, b"").lower() in (b"1", b"true", b"yes")
