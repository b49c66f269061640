"""Rows with their place in a file: what every source of problems yields. Knows no file format and no column names."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple, Protocol

from dynasor.errors import BadRow


class Row(NamedTuple):
    """One row: its source, its place there, and its values by column name.

    `line` counts from 1: the physical line on which the row begins in a text file, the row where there are no lines.
    """

    source: str
    line: int
    values: Mapping[str, object]

    def bad(self, fault: str) -> BadRow:
        """The error that tells the place of this row."""
        return BadRow(self.source, self.line, fault)

    def text(self, column: str) -> str | None:
        """The value as text; None where it is missing, null or blank. Raises `BadRow` unless it is text or a number."""
        value = self.values.get(column)
        if value is None or isinstance(value, str):
            return value if value and not value.isspace() else None
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise self.bad(f"column '{column}' must hold text or a number, not {kind_of(value)}")
        is_number = value == value  # unlike NaN, a table's way to say that a value is missing
        return number_text(value) if is_number else None


class Rows(Protocol):
    """A source of rows. Iterating reads it from its start, and holds one row (or one batch of them) at a time."""

    @property
    def name(self) -> str:
        """A short name for people."""
        ...

    @property
    def source(self) -> str:
        """What the user named."""
        ...

    def __iter__(self) -> Iterator[Row]: ...

    def digest(self) -> str:
        """Hexadecimal SHA-256 that changes with the content."""
        ...


class Ids:
    """The ids met so far in one source: each may be there once."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._lines: dict[str, int] = {}

    def admit(self, id: str, line: int) -> None:
        """Note an id; raise `BadRow`, telling both lines, where it has been met before."""
        first = self._lines.setdefault(id, line)
        if first != line:
            raise BadRow(self._source, line, f"the id '{id}' is taken by line {first}; ids must be unique")


def number_text(value: float | Decimal) -> str:
    """A number as people write an answer: a whole number without a decimal point (18.0 is '18')."""
    return str(int(value)) if value == value // 1 else str(value)


def kind_of(value: object) -> str:
    """The kind of a value that is not text, for a message."""
    names = {bool: "a truth value", list: "a list", dict: "an object", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else f"a {type(value).__name__}")
