"""What an answer in code is tested by: data that a judge reads. Nothing here runs anything.

A test of values tells what goes in and what has to come out; a test by assertions is a program of its own.
"""

import json
from collections.abc import Hashable
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import msgspec

from dynasor.answers.literals import literal_value
from dynasor.datasets.sealed import unsealed


class Case(NamedTuple):
    """What goes in, and what has to come out, as text."""

    given: str
    expected: str


class Values(msgspec.Struct, frozen=True, tag="values"):
    """The answer is a literal, and right where its value is the expected one. Nothing is run."""

    expected: str

    def passed_by(self, answer: str) -> bool:
        """Whether the answer has the expected value."""
        return _value(answer) == _value(self.expected)


class Inputs(msgspec.Struct, frozen=True, tag="inputs"):
    """The answer is a call `f(...)`, and right where it gives the expected value in the program."""

    program: str
    entry_point: str
    expected: str


class Assertions(msgspec.Struct, frozen=True, tag="assertions"):
    """The answer is a program, and right where the assertions hold.

    Attributes:
        entry_point: the function of the program that the assertions call.
        prompt: what the program goes on from, or may use; "" where it stands alone.
        source: the assertions. If they define `check`, it is called with the function.
        examples: calls of the entry point that the question shows.
    """

    entry_point: str
    prompt: str
    source: str
    examples: tuple[str, ...] = ()


class Cases(msgspec.Struct, frozen=True, tag="cases", dict=True):
    """The answer is a program, and right where it gives what is expected in all cases.

    Attributes:
        entry_point: the function, or the method of a class `Solution`, whose arguments are the lines of `Case.given`
            and whose value is `Case.expected`, as JSON. None: the program reads the one and writes the other.
        public: the cases that the question shows.
        sealed: the cases that it does not, as they were published: JSON, or `sealed` (see `datasets.sealed`).
    """

    entry_point: str | None
    public: tuple[Case, ...]
    sealed: str = ""

    @cached_property
    def all(self) -> tuple[Case, ...]:
        """All cases, the public ones first. Raises ValueError where the sealed ones cannot be read."""
        return self.public + cases_of(unsealed(self.sealed))


CodeTests: TypeAlias = Values | Inputs | Assertions | Cases


def cases_of(text: str) -> tuple[Case, ...]:
    """Read `[{"input": ..., "output": ..., "testtype": ...}]`; "" is none. Raises ValueError for anything else."""
    rows: Any = json.loads(text) if text.strip() else []
    try:
        return tuple(Case(str(row["input"]), str(row["output"])) for row in rows)
    except (TypeError, KeyError) as fault:
        raise ValueError('the test cases are not a list of {"input", "output"}') from fault


def _value(text: str) -> Hashable:
    value = literal_value(text)
    return ("text", text.strip()) if value is None else ("value", value)
