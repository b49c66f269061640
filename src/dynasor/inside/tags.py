"""What a request tells of its program, in the fields that an engine hands to its scheduler.

They are entries of an object that clients may fill: `vllm_xargs` of vLLM, `custom_params` of SGLang; both have a field
`session_id` of their own beside it. Whatever is malformed is left out and counted, for a request must never fail
because of what it says about itself. Nothing here knows an engine.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

PROGRAM: Final = "dynasor_program"
"""The program's id, text or a whole number; it goes before `session_id`."""
REMAINING_TOKENS: Final = "dynasor_remaining_tokens"
"""Tokens that the program is estimated to need yet, this request included; from this request on."""
REMAINING_KNOB: Final = "dynasor_remaining_knob"
"""The knob that the program is expected to turn yet, what is in flight and this request included."""
KNOB: Final = "dynasor_knob"
"""How far it has turned its knob; without it every request that lands counts for one."""
ALGORITHM: Final = "dynasor_algorithm"
DATA_SET: Final = "dynasor_data_set"
"""Programs of one algorithm and data set share a history of token lengths."""
DEADLINE: Final = "dynasor_deadline_s"
"""Seconds from this request's arrival by which the program's answer is due."""
PROGRAM_END: Final = "dynasor_program_end"
"""1 on the last requests of a program: it is forgotten when they have ended."""

LONGEST_NAME: Final = 256
"""Characters of an id or a name; a longer one is a bad tag."""
_MOST: Final = 1e15  # tokens, knob, seconds


class Tags(msgspec.Struct, frozen=True, gc=False):
    """What one request tells; None where it does not. `bad_count` of its tags could not be read."""

    program: str | None = None
    remaining_tokens: float | None = None
    remaining_knob: float | None = None
    knob: int | None = None
    algorithm: str = ""
    data_set: str = ""
    deadline_s: float | None = None
    is_last: bool = False
    bad_count: int = 0


def encoded(tags: Tags) -> dict[str, str | int | float]:
    """The entries that say the same; what is not told is left out, for vLLM refuses null."""
    told: dict[str, str | int | float | None] = {
        PROGRAM: tags.program,
        REMAINING_TOKENS: tags.remaining_tokens,
        REMAINING_KNOB: tags.remaining_knob,
        KNOB: tags.knob,
        ALGORITHM: tags.algorithm or None,
        DATA_SET: tags.data_set or None,
        DEADLINE: tags.deadline_s,
        PROGRAM_END: 1 if tags.is_last else None,
    }
    return {name: value for name, value in told.items() if value is not None}


def read_tags(session_id: object, entries: object) -> Tags:
    """What a request tells, by its `session_id` and its entries, both of whatever type."""
    told: dict[str, Any] = {}
    bad_count = 0
    if isinstance(entries, Mapping):
        for key, value in entries.items():
            field, read = _READERS.get(key, _NOT_OURS)
            if read is None or value is None:
                continue
            if (found := read(value)) is None:
                bad_count += 1
            else:
                told[field] = found
    elif entries is not None:
        bad_count += 1
    if "program" not in told and session_id is not None:
        told["program"] = _checked_name(session_id)
        bad_count += told["program"] is None
    return Tags(**told, bad_count=bad_count)


def _name(value: object) -> str | None:
    return _checked_name(str(value) if isinstance(value, int) and not isinstance(value, bool) else value)


def _checked_name(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST_NAME else None


def _number(value: object) -> float | None:
    is_one = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST
    return float(value) if is_one else None  # type: ignore[arg-type]


def _count(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else None


def _flag(value: object) -> bool | None:
    return bool(value) if isinstance(value, int) and value in (0, 1) else None


_NOT_OURS: Final = ("", None)
_READERS: Final[Mapping[object, tuple[str, Callable[[object], object] | None]]] = {
    PROGRAM: ("program", _name),
    REMAINING_TOKENS: ("remaining_tokens", _number),
    REMAINING_KNOB: ("remaining_knob", _number),
    KNOB: ("knob", _count),
    ALGORITHM: ("algorithm", _name),
    DATA_SET: ("data_set", _name),
    DEADLINE: ("deadline_s", _number),
    PROGRAM_END: ("is_last", _flag),
}
