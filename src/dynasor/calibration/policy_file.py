"""A policy as a file: TOML with the policy's specification, what it promises, and where that comes from.

A table that makes the specification too long for a line stands below it, a row to a line: `table=tables.gain` in the
specification is the rows of `gain` under `[tables]`, joined with `/`.

It does not know how a promise is come by, and makes no policy: `wiring.make_policy` does, of the specification.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from dynasor.errors import UsageError

ENDING = ".toml"

Value = str | int | float | bool

_LONGEST = 60  # characters of a table within the specification
_TABLE = re.compile(r"(?:^|(?<=\+))([^:+]+)(:(?:[^+]*,)?table=)([^,+]+)")


class PolicyFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a policy file says.

    Attributes:
        policy: the canonical specification, tables and all.
        promise: tolerance, confidence, expected saving with its interval, and what it all rests on.
        provenance: the recording with its digest, model, algorithm, cap, date, command and commit.
    """

    policy: str
    promise: Mapping[str, Value] = {}
    provenance: Mapping[str, Value] = {}


class _Lines(PolicyFile, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A policy file as it is written; `tables` are the rows of those that the specification names."""

    tables: Mapping[str, Sequence[str]] = {}


def read_policy_file(path: Path) -> PolicyFile:
    """Read a policy file.

    Raises:
        UsageError: where there is none, or it is not one.
    """
    try:
        read = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _Lines)
        policy = _TABLE.sub(lambda match: _put_back(match, read.tables, path), read.policy)
        return PolicyFile(policy=policy, promise=read.promise, provenance=read.provenance)
    except OSError as fault:
        raise UsageError(f"cannot read the policy file {path}: {fault.strerror or fault}") from fault
    except (ValueError, msgspec.ValidationError) as fault:
        raise UsageError(f"{path} is not a policy file: {fault}; make one with dynasor calibrate") from fault


def write_policy_file(file: PolicyFile, path: Path) -> None:
    """Write a policy file, and the folder that it is in.

    Raises:
        UsageError: where it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in _lines(file)), encoding="utf-8")
    except OSError as fault:
        raise UsageError(f"cannot write {path}: {fault.strerror or fault}; choose another --out") from fault


def _put_back(match: re.Match[str], tables: Mapping[str, Sequence[str]], path: Path) -> str:
    prefix, dot, name = match[3].partition(".")
    if prefix != "tables" or not dot:
        return match[0]
    if name not in tables:
        raise UsageError(f"{path} names the table '{name}' and has none of that name under [tables]")
    return f"{match[1]}{match[2]}{'/'.join(tables[name])}"


def _lines(file: PolicyFile) -> Iterator[str]:
    tables: dict[str, Sequence[str]] = {}
    policy = _TABLE.sub(lambda match: _put_aside(match, tables), file.policy)
    yield "# dynasor run --policy THIS_FILE"
    yield f"policy = {_written(policy)}"
    for name, table in (("promise", file.promise), ("provenance", file.provenance)):
        yield ""
        yield f"[{name}]"
        yield from (f"{key} = {_written(value)}" for key, value in table.items())
    if tables:
        yield "\n[tables]"
    for name, rows in tables.items():
        yield f"{name} = ["
        yield from (f"  {_written(row)}," for row in rows)
        yield "]"


def _put_aside(match: re.Match[str], tables: dict[str, Sequence[str]]) -> str:
    name, option, table = match[1], match[2], match[3]
    if len(table) <= _LONGEST or not re.fullmatch("[a-z-]+", name):
        return match[0]
    own = name if name not in tables else f"{name}-{len(tables) + 1}"
    tables[own] = table.split("/")
    return f"{name}{option}tables.{own}"


def _written(value: Value) -> str:
    """A value of TOML: its strings are those of JSON, but for DEL; its numbers are Python's."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower()
