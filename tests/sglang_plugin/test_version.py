import subprocess
import sys

import pytest

from dynasor.errors import UsageError
from dynasor.sglang_plugin.version import check_version


@pytest.mark.parametrize("found", ["0.5.23", "0.5.23.post1", "0.5.23+cpu"])
def test_what_was_tested_may_start(found: str) -> None:
    check_version(found)


@pytest.mark.parametrize("found", ["0.5.22", "0.5.230", "0.5.24", "0.6.0", "1.0.5.23", "dev"])
def test_another_version_may_not(found: str) -> None:
    with pytest.raises(UsageError, match=rf"SGLang is {found}, .* with 0\.5\.23 only; install sglang==0\.5\.23, or"):
        check_version(found)


def test_without_sglang_it_is_said_what_to_install() -> None:
    with pytest.raises(UsageError, match=r"SGLang is not installed beside dynasor-serve; install sglang==0\.5\.23"):
        check_version()


@pytest.mark.slow
def test_a_server_that_does_not_ask_for_it_loads_nothing_heavy() -> None:
    heavy = "sglang vllm torch aiohttp click rich prometheus_client"
    loaded = f"print({set(heavy.split())} & set(sys.modules))"
    code = f"import sys; from dynasor.sglang_plugin import hooks; hooks.register(); {loaded}"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={})
    assert shown.stdout.strip() == "set()"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("{}", "SGLang is not installed beside dynasor-serve"),
        ('{"ordering": "gang+', "settings cannot be read"),
        ('{"grace_s": 3}', r"known: ordering, branch_tokens, memory_s, orders_victims, tokens_per_s"),
    ],
)
def test_a_server_that_asks_and_cannot_have_it_does_not_start(settings: str, told: str) -> None:
    started = "try:\n    register()\nexcept Exception:\n    print('started')"
    code = f"from dynasor.sglang_plugin.hooks import register\n{started}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"DYNASOR_SGLANG": settings}
    )
    assert (done.returncode, done.stdout) == (2, ""), "SGLang swallows exceptions, and starts without what raised them"
    assert done.stderr.startswith("dynasor.sglang_plugin: ")
    assert told in done.stderr
