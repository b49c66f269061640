"""How the plug-in is told what to do: JSON in an environment variable, or vLLM's `--additional-config`.

The environment variable is the stable way: it depends on nothing of vLLM's. Where both speak of one setting,
`--additional-config` is followed, for it is on the command line.
"""

from collections.abc import Mapping
from typing import Final

from dynasor.errors import UsageError
from dynasor.inside import settings

VARIABLE: Final = "DYNASOR_VLLM"
SECTION: Final = "dynasor"
"""The key of `--additional-config` whose object holds the settings."""


class Settings(settings.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a user may set, beside what may be set inside any engine.

    Attributes:
        grace_s: seconds for which a program without requests keeps its blocks from being evicted first.
        spares_blocks: whether blocks of live programs are evicted last; else the least recently used are first.
    """

    grace_s: float = 2.0
    spares_blocks: bool = True


def read_settings(environ: Mapping[str, str], additional: object) -> Settings:
    """The settings by environment variables and vLLM's additional config.

    Raises:
        UsageError: something in them is malformed or unknown.
    """
    section = additional.get(SECTION) or {} if isinstance(additional, Mapping) else {}
    if not isinstance(section, Mapping):
        raise UsageError(f'the plug-in\'s settings are {section!r}; they must be an object, as {{"ordering": "sjf"}}')
    return settings.decoded(Settings, environ.get(VARIABLE) or "{}", section)
