"""Optional dependencies of this package, imported at their first use. Knows nothing of what they are used for."""

from importlib import import_module
from typing import Any

from dynasor.errors import MissingExtra


def optional(module: str, purpose: str, extra: str) -> Any:
    """Import `module`; raise `MissingExtra`, which tells the command that installs it, where it is not installed."""
    try:
        return import_module(module)
    except ImportError as fault:
        raise MissingExtra(purpose, extra) from fault
