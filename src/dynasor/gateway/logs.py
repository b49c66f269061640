"""What is written down of every exchange: one line of text or JSON, without prompts, answers and keys.

A line is made of what the gateway itself knows: routes that are listed, words of its own for what went wrong. Of what a
client sends there are its program's id and the id of its request, where these look like ids. It knows no file.
"""

import re
import secrets
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import count
from typing import Literal

import msgspec

from dynasor.gateway.observation import Seen

LogFormat = Literal["text", "json"]
Fields = Mapping[str, object]

_ENCODER = msgspec.json.Encoder()
_SOUND = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_QUOTED = re.compile(r'[\s"=\\]|[^\x20-\x7e]')


class ExchangeLog:
    """Listens to `gateway.observation`."""

    def __init__(self, write: Callable[[Fields], None]) -> None:
        """To be written by this."""
        self._write = write
        self._prefix = secrets.token_hex(4)
        self._numbers = count()

    def take(self, seen: Seen) -> None:
        """An exchange has ended."""
        exchange, call = seen.exchange, seen.call
        fields: dict[str, object] = {
            "level": "error" if exchange.status >= 500 else "info",
            "event": "request",
            "id": self._id(exchange.headers.get(b"x-request-id")),
            "method": exchange.method if exchange.method in _METHODS else "other",
            "route": seen.route,
            "status": exchange.status,
            "duration_ms": round(1000 * (seen.ended_at - seen.began_at), 3),
        }
        if seen.reason is not None:
            fields["reason"] = seen.reason
        if call is not None:
            fields["tenant"] = call.tenant.name
            fields["prompt_tokens"], fields["completion_tokens"] = (
                call.spent.prompt_tokens,
                call.spent.completion_tokens,
            )
            if call.backend:
                fields["backend"] = call.backend
            if call.identity.id is not None:
                fields["program"] = call.identity.id
        self._write(fields)

    def _id(self, told: bytes | None) -> str:
        if told is not None and _SOUND.fullmatch(told):
            return told.decode()
        return f"{self._prefix}-{next(self._numbers)}"


def as_json(time: str, fields: Fields) -> str:
    """A line of JSON."""
    return f'{{"time":"{time}",{_ENCODER.encode(fields).decode()[1:]}'


def as_text(time: str, fields: Fields) -> str:
    """A line of `name=value`, behind the time."""
    return time + "".join([f" {name}={_shown(value)}" for name, value in fields.items()])


def _shown(value: object) -> object:
    return value if isinstance(value, int | float) else _quoted(str(value))


@lru_cache(1024)
def _quoted(text: str) -> str:
    return _ENCODER.encode(text).decode() if not text or _QUOTED.search(text) else text


FORMATS: Mapping[LogFormat, Callable[[str, Fields], str]] = {"text": as_text, "json": as_json}
