"""What one request may ask at most, whoever sends it. It knows no tenant, and reads no more than it judges."""

import re
from dataclasses import dataclass

from dynasor.errors import UsageError
from dynasor.gateway.refusals import Refused

_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_STRING = re.compile(rb'"[^"]*"')
_BRACKETS = frozenset(b"[]{}")
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_FLESH = bytes(byte for byte in range(256) if byte not in _BRACKETS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of a request.

    Attributes:
        body_bytes: of the body.
        body_s: within which the body must have come.
        header_bytes: of the request line and all headers.
        header_s: within which the headers must have come.
        messages: of a conversation.
        choices: answers to one request: `n` or `best_of`, times the prompts.
        max_tokens: of one answer, as far as the request says.
        json_depth: brackets within brackets.
    """

    body_bytes: int = 4 << 20
    body_s: float = 60.0
    header_bytes: int = 16 << 10
    header_s: float = 20.0
    messages: int = 2048
    choices: int = 128
    max_tokens: int = 131_072
    json_depth: int = 64

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if getattr(self, name) <= 0:
                raise UsageError(f"limits.{name} is {getattr(self, name)}; it must be more than 0")


def check_depth(body: bytes, most: int) -> None:
    """Refuse brackets nested too deeply; the body is known to be JSON.

    Backends parse by recursion, and so do the programs behind them. Few brackets cannot be deep, and are only counted.

    Raises:
        Refused: they are deeper.
    """
    if body.count(b"[") + body.count(b"{") <= most:
        return
    text = _ESCAPED.sub(b"", body) if b"\\" in body else body
    bones = _STRING.sub(b"", text).translate(_ONE_KIND, _FLESH)
    for _ in range(most):
        bones = bones.replace(b"[]", b"")  # one level
        if not bones:
            return
    raise Refused(400, f"the body is nested more than {most} levels deep; make it flatter", "too_deep")
