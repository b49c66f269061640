"""The scheduler inside vLLM: `vllm serve ... --scheduler-cls dynasor.vllm_plugin.ProgramScheduler`.

vLLM itself is imported only where one of the two classes is asked for: the rest is as light as the scheduler.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dynasor.vllm_plugin.scheduler import AsyncProgramScheduler, ProgramScheduler

__all__ = ["AsyncProgramScheduler", "ProgramScheduler"]


def __getattr__(name: str) -> Any:
    """Load the classes of vLLM's scheduler when they are used.

    Raises:
        UsageError: the vLLM here is none that this was tested with.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from dynasor.vllm_plugin.version import check_version  # noqa: PLC0415

    check_version()
    from dynasor.vllm_plugin import scheduler  # noqa: PLC0415

    return getattr(scheduler, name)
