"""Tool calls as answers: calls of the same tools with the same arguments are the same answer.

It knows neither the tools nor what their arguments mean. Arguments are compared as JSON values: neither the order of
their names nor the spaces between them matter, and 1.0 is 1.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from dynasor.request import ToolCall

MARK = "tool_calls:"
"""What these answers begin with."""


def calls_answer(calls: Sequence[ToolCall]) -> str:
    """The answer that some calls are."""
    return MARK + canonical([[call.name, _value(call.arguments)] for call in calls])


def canonical(value: Any) -> str:
    """One spelling for all JSON texts of a value."""
    return msgspec.json.encode(_plain(value), order="deterministic").decode()


def json_answer(text: str) -> str | None:
    """The answer that a text is which is JSON as a whole; None where it is none."""
    try:
        return canonical(msgspec.json.decode(text))
    except (msgspec.DecodeError, RecursionError):
        return None


def _value(arguments: str) -> Any:
    try:
        return msgspec.json.decode(arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        return arguments


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
