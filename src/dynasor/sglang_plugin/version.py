"""The SGLang that the plug-in was tested with: its hooks are public, what they hook is not."""

import re
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from dynasor.errors import UsageError

DISTRIBUTION: Final = "sglang"
TESTED: Final = "0.5.23"
"""It and its post-releases; tests run in it."""


def check_version(found: str | None = None) -> None:
    """Refuse to start on another version.

    Args:
        found: the version; None for that of the SGLang installed here.

    Raises:
        UsageError: it is not the one tested, or there is none.
    """
    found = _installed() if found is None else found
    if found is None:
        raise UsageError(f"SGLang is not installed beside dynasor-serve; install sglang=={TESTED}")
    if not re.fullmatch(rf"{re.escape(TESTED)}(\.post\d+)?(\+.*)?", found):
        raise UsageError(
            f"SGLang is {found}, and dynasor.sglang_plugin was tested with {TESTED} only; install sglang=={TESTED}, or"
            " unset DYNASOR_SGLANG and send priorities to SGLang's own scheduler (docs/sglang-plugin.md)"
        )


def _installed() -> str | None:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return None
