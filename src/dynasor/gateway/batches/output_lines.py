"""The lines of a batch's output: what an item was answered, or why it was not."""

from collections.abc import Mapping
from typing import Any

import msgspec

from dynasor.gateway.batches.records import Item, Result, State, Status, Tokens

_NO_ERROR = 400  # statuses below it
_UNRUN = {
    Status.EXPIRED: ("batch_expired", "This request could not be executed before the completion window expired."),
    Status.CANCELLED: ("batch_cancelled", "This request was not executed before the batch was cancelled."),
}
_BREAKS = tuple((char.encode(), b"\\u%04x" % ord(char)) for char in "\u0085\u2028\u2029")


class _Details(msgspec.Struct):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


class _Answer(msgspec.Struct):
    usage: _Usage | None = None


def answered(item: Item, status: int, body: bytes, request_id: str) -> Result:
    """An item that was answered, well or by an error."""
    told = {"status_code": status, "request_id": request_id, "body": _embedded(body)}
    state = State.COMPLETED if status < _NO_ERROR else State.FAILED
    return Result(item.batch, item.place, state, _line(item, response=told, error=None), _tokens(body))


def unrun(item: Item, ending: str) -> Result:
    """An item that nobody will answer, for its batch ends."""
    code, message = _UNRUN[Status(ending)]
    line = _line(item, response=None, error={"code": code, "message": message})
    return Result(item.batch, item.place, State.UNRUN, line)


def _line(item: Item, **told: Mapping[str, Any] | None) -> bytes:
    head = {"id": item.id, "custom_id": msgspec.Raw(item.custom_id.encode())}
    return msgspec.json.encode({**head, **told}) + b"\n"


def _embedded(body: bytes) -> msgspec.Raw | str:
    """JSON as it came, in one line; what is none, as text.

    Within JSON a newline can only be a space between tokens; the other characters that some readers break lines at
    stand in strings, and are escaped there.
    """
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body.decode(errors="replace")
    body = body.replace(b"\n", b" ").replace(b"\r", b" ")
    for char, escaped in _BREAKS:
        body = body.replace(char, escaped)
    return msgspec.Raw(body)


def _tokens(body: bytes) -> Tokens:
    try:
        usage = msgspec.json.decode(body, type=_Answer).usage or _Usage()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Tokens()
    prompt, completion = usage.prompt_tokens_details or _Details(), usage.completion_tokens_details or _Details()
    return Tokens(
        usage.prompt_tokens or 0, prompt.cached_tokens or 0, usage.completion_tokens or 0,
        completion.reasoning_tokens or 0,
    )  # fmt: skip
