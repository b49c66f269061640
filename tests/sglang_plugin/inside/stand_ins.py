"""Stand-ins for what SGLang imports beside its scheduler: kernels for GPUs, model code, the parts of a server.

SGLang's scheduler imports all of SGLang, and that some forty packages of several gigabytes. None of them decides which
request is next. So whatever of them is not installed is a module here that has every name, whose values can be called,
indexed, inherited from and used as decorators, and that do nothing. What is tested is SGLang's own code throughout.
"""

import importlib
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

ABSENT = """
    IPython PIL aiohttp compressed_tensors einops fastapi gguf huggingface_hub openai partial_json_parser pydantic
    pydantic_core safetensors sentencepiece setproctitle torchvision transformers triton tvm_ffi uvicorn xgrammar yaml
""".split()  # noqa: SIM905  (in alphabetical order, and as many to a line as there is room for)
"""Packages that SGLang imports as it is loaded; those that are installed are left alone."""
PARTS = (
    "sglang.kernels",
    "sglang.srt.entrypoints",
    "sglang.srt.layers",
    "sglang.srt.model_executor",
    "sglang.srt.models",
)
"""What of SGLang itself is left out: kernels, models, and the web server, which needs classes of pydantic that are."""


class Base:
    """What is inherited from in place of a class that is absent."""

    def __init_subclass__(cls, **options: object) -> None:
        """Take any options, as of typed dictionaries."""


class Anything:
    """A value that is absent."""

    def __getattr__(self, name: str) -> "Anything":
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        decorated = len(args) == 1 and not kwargs and callable(args[0]) and not isinstance(args[0], Anything)
        return args[0] if decorated else Anything()

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        return (Base,)

    def __getitem__(self, key: object) -> "Anything":
        return self

    def __setitem__(self, key: object, value: object) -> None:
        return None

    def __contains__(self, key: object) -> bool:
        return False

    def __iter__(self) -> Iterator[object]:
        return iter(())

    def __or__(self, other: object) -> "Anything":
        return self

    __ror__ = __or__


class StandIn(ModuleType):
    """A module that is absent."""

    __version__ = "99"

    def __getattr__(self, name: str) -> Anything:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()


class Finder:
    """Finds such modules, and no others."""

    def __init__(self, names: set[str]) -> None:
        self.names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Where a module comes from."""
        if any(f"{name}.".startswith(f"{absent}.") for absent in self.names):
            return ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """A module that has everything."""
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is in it."""


def put_in_place() -> None:
    """From here on, what is absent can be imported.

    PyTorch looks for some of these packages itself, and believes what it finds: so it is loaded before. SGLang's
    package mends transformers when it is loaded: so it is put in place without being run.
    """
    for name in ("torch._dynamo", "torch._inductor.compile_fx", "torch.utils.flop_counter"):
        importlib.import_module(name)
    found = find_spec("sglang")
    assert found is not None
    package = ModuleType("sglang")
    package.__path__ = list(found.submodule_search_locations or ())
    sys.modules["sglang"] = package
    sys.meta_path.insert(0, Finder({name for name in ABSENT if find_spec(name) is None} | {*PARTS}))
