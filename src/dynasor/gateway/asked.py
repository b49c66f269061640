"""What a request's body asks, as far as the gateway minds it: all other fields are the backend's own.

Whose request it is, is read in `identity`; which reasoning it asks for, in `reasoning`.
"""

from typing import Any

import msgspec

from dynasor.gateway.limits import Limits, check_depth
from dynasor.gateway.refusals import Refused


class Asked(msgspec.Struct):
    """The fields that are read here."""

    model: str | None = None
    stream: bool | None = None
    n: int | None = None
    best_of: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    messages: list[msgspec.Raw] | None = None
    prompt: str | list[Any] | None = None
    program_id: str | None = None
    session_id: str | None = None
    vllm_xargs: Any = None
    dynasor: Any = None
    adaptive_compute: Any = None
    reasoning_effort: str | None = None

    @property
    def answer_tokens(self) -> int | None:
        """The most of one answer; None where the request does not say."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def choices(self) -> int:
        """Answers that it asks for."""
        prompts = 1
        if isinstance(self.prompt, list) and not (self.prompt and isinstance(self.prompt[0], int)):
            prompts = len(self.prompt)
        return max(self.n or 1, self.best_of or 1) * prompts


_READ = msgspec.json.Decoder(Asked)


def read_asked(body: bytes, limits: Limits) -> Asked:
    """Read a request's body.

    Raises:
        Refused: it is not JSON, a field is of the wrong type, or it asks for more than it may.
    """
    try:
        _ = body.isascii() or body.decode()  # what is not read here must be sound too
        asked = _READ.decode(body)
    except msgspec.ValidationError as fault:
        raise Refused(400, f"the body cannot be read: {fault}", "invalid_value", _field(str(fault))) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise Refused(400, f"the body is not JSON: {fault}", "invalid_json") from None
    except RecursionError:
        raise Refused(400, "the body is nested too deeply; make it flatter", "too_deep") from None
    check_depth(body, limits.json_depth)
    _check(asked, limits)
    return asked


def _check(asked: Asked, limits: Limits) -> None:
    if asked.messages is not None and len(asked.messages) > limits.messages:
        _refuse("messages", f"there are {len(asked.messages)} messages", limits.messages)
    if asked.n is not None and asked.n < 1:
        raise Refused(400, f"n is {asked.n}; it must be 1 or more", "invalid_value", "n")
    if asked.choices > limits.choices:
        _refuse("n", f"{asked.choices} answers are asked for", limits.choices)
    tokens = asked.answer_tokens
    if tokens is not None and tokens > limits.max_tokens:
        _refuse("max_tokens", f"up to {tokens} tokens are asked for", limits.max_tokens)


def _refuse(field: str, told: str, most: int) -> None:
    raise Refused(400, f"{told}; here {most} is the most", "limit_exceeded", field)


def _field(told: str) -> str | None:
    """The field at fault, as msgspec writes it: ... - at `$.model`."""
    _, found, path = told.partition("`$.")
    return path.rstrip("`") if found else None
