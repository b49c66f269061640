"""Stand-ins for packages that SGLang imports and does not call where a language model runs on the CPU by PyTorch alone.

They are found wherever the packages themselves are not, in every process of the server: scripts/sglang-environment
has Python import this module as it starts. Whatever of them is called raises, so nothing is computed wrongly unnoticed.
"""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

ABSENT = ("sgl_kernel", "torchvision")


class Name:
    """Something of an absent package: it has every attribute, and can be inherited from, but not be called."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> "Name":
        if name.startswith("__"):
            raise AttributeError(name)
        return Name(f"{self._path}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """There is nothing to call."""
        raise RuntimeError(f"{self._path} is not installed here; run a model that does without it, or SGLang on a GPU")

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        return (object,)


class Absent(ModuleType):
    """An absent package, or a module of it."""

    __version__ = "0"

    def __getattr__(self, name: str) -> Name:
        if name.startswith("__"):
            raise AttributeError(name)
        return Name(f"{self.__name__}.{name}")


class Finder:
    """Finds them, after all that is installed."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Where a module comes from."""
        return ModuleSpec(name, self, is_package=True) if name.partition(".")[0] in ABSENT else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """A module that has every name."""
        return Absent(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is in it."""


sys.meta_path.append(Finder())  # type: ignore[arg-type]
