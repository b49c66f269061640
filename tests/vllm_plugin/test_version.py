import subprocess
import sys

import pytest

from dynasor.errors import UsageError
from dynasor.vllm_plugin.version import check_version


@pytest.mark.parametrize("found", ["0.32", "0.32.0", "0.32.0+cpu", "0.32.7"])
def test_what_was_tested_may_start(found: str) -> None:
    check_version(found)


@pytest.mark.parametrize("found", ["0.31.9", "0.33.0", "0.320.1", "1.32.0", "dev"])
def test_another_version_may_not(found: str) -> None:
    with pytest.raises(UsageError, match=rf"vLLM is {found}, .* tested with 0\.32\.\* only; install vllm==0\.32\.\*"):
        check_version(found)


def test_without_vllm_the_class_tells_what_to_install() -> None:
    import dynasor.vllm_plugin

    with pytest.raises(UsageError, match="vLLM is not installed beside dynasor-serve"):
        _ = dynasor.vllm_plugin.ProgramScheduler


def test_nothing_else_is_in_the_package() -> None:
    import dynasor.vllm_plugin

    with pytest.raises(AttributeError, match="no attribute Scheduler"):
        dynasor.vllm_plugin.Scheduler  # noqa: B018


@pytest.mark.slow
def test_tags_are_read_without_anything_heavy() -> None:
    heavy = "vllm torch aiohttp click rich asyncio prometheus_client"
    code = f"import sys, dynasor.vllm_plugin.queue; print({set(heavy.split())} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"
