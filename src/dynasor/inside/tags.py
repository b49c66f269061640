"""What a request tells of its program, in the fields that an engine hands to its scheduler.

They are entries of an object that clients may fill: `vllm_xargs` of vLLM, `custom_params` of SGLang; both have a field
`session_id` of their own beside it. Whatever is malformed is left out and counted, for a request must never fail
because of what it says about itself. Nothing here knows an engine.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

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


@dataclass(frozen=True, slots=True)
class Tags:
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
    reader = _Reader(entries if isinstance(entries, Mapping) else {})
    return Tags(
        program=reader.name(PROGRAM) or reader.checked_name(session_id),
        remaining_tokens=reader.number(REMAINING_TOKENS),
        remaining_knob=reader.number(REMAINING_KNOB),
        knob=reader.count(KNOB),
        algorithm=reader.name(ALGORITHM) or "",
        data_set=reader.name(DATA_SET) or "",
        deadline_s=reader.number(DEADLINE),
        is_last=reader.flag(PROGRAM_END),
        bad_count=reader.bad_count + (entries is not None and not isinstance(entries, Mapping)),
    )


class _Reader:
    """Reads entries, and counts those that are malformed."""

    def __init__(self, entries: Mapping[object, object]) -> None:
        self._entries = entries
        self.bad_count = 0

    def name(self, key: str) -> str | None:
        value = self._entries.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        return self.checked_name(value)

    def checked_name(self, value: object) -> str | None:
        if value is None or (isinstance(value, str) and 0 < len(value) <= LONGEST_NAME):
            return value
        self._refuse()
        return None

    def number(self, key: str) -> float | None:
        value = self._entries.get(key)
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST:
            return float(value)
        self._refuse()
        return None

    def count(self, key: str) -> int | None:
        value = self.number(key)
        if value is None or value.is_integer():
            return None if value is None else int(value)
        self._refuse()
        return None

    def flag(self, key: str) -> bool:
        value = self._entries.get(key)
        if value is None or (isinstance(value, int) and value in (0, 1)):
            return bool(value)
        self._refuse()
        return False

    def _refuse(self) -> None:
        self.bad_count += 1
