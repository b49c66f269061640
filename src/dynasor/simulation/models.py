"""Modelled accelerators by name, and model files: how a measured engine is written down and read again."""

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dynasor.errors import UnknownName, UsageError
from dynasor.simulation import measured
from dynasor.simulation.cost import CostModel, Linear
from dynasor.simulation.limits import Limits

ENDING = ".toml"
H100_KV_TOKENS = measured.A100_KV_TOKENS
"""The same 80 GB, and the same weights."""


@dataclass(frozen=True, slots=True)
class Model:
    """An accelerator with its model and its engine.

    Attributes:
        cost: how long a step takes.
        cache_tokens: that its memory holds.
        limits: what its engine is started with.
        request_s: what a request takes beside its steps, in the server and on the way to it.
        entry_s: what the server takes to read a request, one after the other, before its engine has it.
        block_tokens: of a block of the cache.
        shares_prefixes: whether requests that begin alike share blocks.
    """

    cost: CostModel
    cache_tokens: int
    limits: Limits = Limits()  # noqa: RUF009  (frozen)
    request_s: float = 0.0
    entry_s: float = 0.0
    block_tokens: int = 16
    shares_prefixes: bool = True


MODELS: Mapping[str, Callable[[], Model]] = {
    "a100-llama-8b": lambda: Model(measured.a100(), measured.A100_KV_TOKENS),
    "a100-llama-8b-roofline": lambda: Model(measured.a100_roofline(), measured.A100_KV_TOKENS),
    "h100-llama-8b": lambda: Model(measured.h100(), H100_KV_TOKENS),
}

Value = str | int | float


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step's time, in seconds for the step, a sequence, a prompt token, a cached token."""

    step_s: float
    sequence_s: float
    prompt_token_s: float
    kv_token_s: float


class Engine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the engine was started with, as far as it is known, and what a request takes beside its steps."""

    request_s: float
    cache_tokens: int
    sequences: int
    step_tokens: int
    entry_s: float = 0.0
    block_tokens: int = 16
    shares_prefixes: bool = True


class ModelFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model file says; `provenance` tells what was measured, when and by which command."""

    cost: Line
    engine: Engine
    provenance: Mapping[str, Value] = {}

    def model(self) -> Model:
        """The accelerator that it describes."""
        engine, line = self.engine, msgspec.to_builtins(self.cost)
        return Model(
            Linear(**line),
            engine.cache_tokens,
            Limits(engine.sequences, engine.step_tokens),
            engine.request_s,
            engine.entry_s,
            engine.block_tokens,
            engine.shares_prefixes,
        )


def model_of(name: str) -> Model:
    """The accelerator of a name, or of a model file.

    Raises:
        UnknownName: for a name that is none.
        UsageError: for a file that cannot be read.
    """
    if name.endswith(ENDING):
        return read_model(Path(name)).model()
    if name not in MODELS:
        raise UnknownName("accelerator", name, [*MODELS, "FILE.toml"])
    return MODELS[name]()


def read_model(path: Path) -> ModelFile:
    """Read a model file.

    Raises:
        UsageError: where there is none, or it is not one.
    """
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), ModelFile)
    except OSError as fault:
        raise UsageError(f"cannot read the model file {path}: {fault.strerror or fault}") from fault
    except (ValueError, msgspec.ValidationError) as fault:
        raise UsageError(f"{path} is not a model file: {fault}; make one with dynasor simulate --fit") from fault


def write_model(file: ModelFile, path: Path) -> None:
    """Write a model file, and the folder that it is in.

    Raises:
        UsageError: where it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in _lines(file)), encoding="utf-8")
    except OSError as fault:
        raise UsageError(f"cannot write {path}: {fault.strerror or fault}; choose another --out") from fault


def _lines(file: ModelFile) -> Iterator[str]:
    yield "# dynasor simulate --accelerator THIS_FILE"
    for name, table in msgspec.to_builtins(file).items():
        yield ""
        yield f"[{name}]"
        yield from (f"{key} = {_written(value)}" for key, value in table.items())


def _written(value: Value) -> str:
    """A value of TOML: its strings are those of JSON, but for DEL; its numbers are Python's."""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f") if isinstance(value, str) else repr(value)
