"""A policy as a file: TOML with the policy's specification, what it promises, and where that comes from.

It does not know how a promise is come by, and makes no policy: `wiring.make_policy` does, of the specification.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from dynasor.errors import UsageError

ENDING = ".toml"

Value = str | int | float | bool


class PolicyFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a policy file says.

    Attributes:
        policy: the canonical specification.
        promise: tolerance, confidence, expected saving with its interval, and what it all rests on.
        provenance: the recording with its digest, model, algorithm, cap, date, command and commit.
    """

    policy: str
    promise: Mapping[str, Value] = {}
    provenance: Mapping[str, Value] = {}


def read_policy_file(path: Path) -> PolicyFile:
    """Read a policy file.

    Raises:
        UsageError: where there is none, or it is not one.
    """
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), PolicyFile)
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


def _lines(file: PolicyFile) -> Iterator[str]:
    yield "# dynasor run --policy THIS_FILE"
    yield f"policy = {_written(file.policy)}"
    for name, table in (("promise", file.promise), ("provenance", file.provenance)):
        yield ""
        yield f"[{name}]"
        yield from (f"{key} = {_written(value)}" for key, value in table.items())


def _written(value: Value) -> str:
    """A value of TOML: its strings are those of JSON, but for DEL; its numbers are Python's."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower()
