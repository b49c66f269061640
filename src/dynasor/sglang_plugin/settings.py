"""How the plug-in is told what to do: JSON in an environment variable, which every process of a server inherits."""

from collections.abc import Mapping
from typing import Final

from dynasor.inside import settings

VARIABLE: Final = "DYNASOR_SGLANG"
"""The plug-in does something only where this is set, to `{}` at least."""


class Settings(settings.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a user may set, beside what may be set inside any engine.

    Attributes:
        tokens_per_s: 0: time is the machine's. Else time is counted in tokens that the engine has processed, so many
            to the second: so that several ranks, which see the same tokens at different instants, decide the same.
    """

    tokens_per_s: float = 0.0


def read_settings(environ: Mapping[str, str]) -> Settings | None:
    """The settings by environment variables; None where the plug-in is not asked for.

    Raises:
        UsageError: something in them is malformed or unknown.
    """
    text = environ.get(VARIABLE)
    return None if text is None else settings.decoded(Settings, text.strip() or "{}", {})
