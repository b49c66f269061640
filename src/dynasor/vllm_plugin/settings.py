"""How the plug-in is told what to do: JSON in an environment variable, or vLLM's `--additional-config`.

The environment variable is the stable way: it depends on nothing of vLLM's. Where both speak of one setting,
`--additional-config` is followed, for it is on the command line.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from dynasor.errors import UsageError

VARIABLE: Final = "DYNASOR_VLLM"
SECTION: Final = "dynasor"
"""The key of `--additional-config` whose object holds the settings."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a user may set.

    Attributes:
        ordering: as `dynasor run --ordering` reads it, such as `aging:patience=8+gang+sjf`.
        branch_tokens: the length of a branch before any has landed.
        grace_s: seconds for which a program without requests keeps its blocks from being evicted first.
        memory_s: seconds for which a program without requests is remembered: its place, its estimates.
        orders_victims: whether preemption takes the last program first; else what vLLM takes.
        spares_blocks: whether blocks of live programs are evicted last; else the least recently used are first.
    """

    ordering: str = "dynasor"
    branch_tokens: float = 256.0
    grace_s: float = 2.0
    memory_s: float = 60.0
    orders_victims: bool = True
    spares_blocks: bool = True

    def __post_init__(self) -> None:
        """Refuse times and lengths below nothing."""
        for name in ("branch_tokens", "grace_s", "memory_s"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be at least 0")


def read_settings(environ: Mapping[str, str], additional: object) -> Settings:
    """The settings by environment variables and vLLM's additional config.

    Raises:
        UsageError: something in them is malformed or unknown.
    """
    text = environ.get(VARIABLE) or "{}"
    section = additional.get(SECTION) or {} if isinstance(additional, Mapping) else {}
    try:
        told = msgspec.json.decode(text, type=dict[str, Any])
        return msgspec.convert({**told, **section}, Settings)
    except (msgspec.DecodeError, TypeError) as fault:
        known = ", ".join(Settings.__struct_fields__)
        raise UsageError(f"the plug-in's settings cannot be read: {fault} (known: {known})") from fault
