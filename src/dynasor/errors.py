"""The error tree.

    DynasorError
    ├── UsageError          the caller's fault; exit code 2 and, in a gateway, HTTP 4xx
    │   ├── UnknownName     a name that nothing is known by; tells the known ones
    │   ├── BadRow          a malformed row of an input file; tells file and line
    │   ├── MissingExtra    an optional dependency is not installed; tells the command that installs it
    │   └── SettingsDiffer  a journal was written under other settings; tells which
    ├── EngineError         the world's fault; exit code 1 and HTTP 5xx
    └── ProgramError        a reasoning program broke the rules of its interface

Every message is one line that names the value and the mend.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class DynasorError(Exception):
    """Anything this package raises on purpose."""

    exit_code = 1


class UsageError(DynasorError):
    """The caller asked for something that cannot be done; the message says what to do instead."""

    exit_code = 2


class UnknownName(UsageError):
    """A name that is not known; carries the known ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        close = get_close_matches(name, known, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        super().__init__(f"unknown {kind} '{name}'{hint} (known: {', '.join(known)})")


class BadRow(UsageError):
    """A row of an input file that cannot be read."""

    def __init__(self, file: object, line: int, fault: str) -> None:
        super().__init__(f"{file}, line {line}: {fault}")


class MissingExtra(UsageError):
    """An optional dependency is missing."""

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(f"{purpose} needs an extra: pip install 'dynasor-serve[{extra}]'")


class SettingsDiffer(UsageError):
    """A journal belongs to a run with other settings."""


class EngineError(DynasorError):
    """The server behind an engine did not do its part.

    `retryable` tells whether the same request may succeed later (an outage) or never will (it was refused).
    """

    def __init__(self, message: str, *, retryable: bool, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after_s = retry_after_s


class ProgramError(DynasorError):
    """A program yielded what it may not yield."""
