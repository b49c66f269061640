"""Clients that know nothing of the gateway, unchanged, against `dynasor serve` and the built-in model."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from support.serve_process import serve

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-clients" / "bin" / "python"
CLIENTS = Path(__file__).parent / "clients"
LIMIT_S = 300.0  # to tell a client that hangs from one beside other work
ENVIRON = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "GATEWAY_API_KEY": "none"}

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _environment() -> None:
    if not PYTHON.exists() and not os.environ.get("CI"):
        pytest.skip(f"there is no {PYTHON.parents[1].name}; make it with scripts/client-environment")


async def told_by(script: str, *arguments: str, **environ: str) -> Any:
    """What a client prints last."""
    process = await asyncio.create_subprocess_exec(
        str(PYTHON), str(CLIENTS / script), *arguments,
        env=os.environ | ENVIRON | environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(LIMIT_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()[-3000:]
    return json.loads(out.decode().strip().splitlines()[-1])


async def test_litellm_asks_sync_and_async_streamed_and_not() -> None:
    async with serve("--log-format", "none") as gateway:
        told = await told_by("litellm_calls.py", f"http://127.0.0.1:{gateway.port}/v1")
    for kind in ("plain", "suffix", "body"):
        assert "19" in told[kind]["text"], kind
        assert told[kind]["finish"] == "stop"
        assert told[kind]["tokens"] > 0
    assert told["suffix"]["tokens"] > told["plain"]["tokens"], "all branches count"
    assert told["body"]["dynasor"]["branches"] == 5
    for kind in ("plain_streamed", "streamed"):
        assert "19" in told[kind]["text"], kind
        assert told[kind]["finish"] == ["stop"]
        assert told[kind]["tokens"] > 0
    assert told["text"]
    assert told["refusal"]["status"] == 404
    assert "no algorithm 'nonsense'" in told["refusal"]["told"]
    loop = told["loop"]
    assert loop["plain"]["text"] == told["plain"]["text"], "at temperature 0"
    assert "19" in loop["reasoned"]["text"]
    assert "19" in loop["streamed"]["text"]


async def test_inspect_evaluates_a_task(tmp_path: Path) -> None:
    async with serve("--log-format", "none") as gateway:
        base = f"http://127.0.0.1:{gateway.port}/v1"
        told = await told_by("inspect_task.py", str(tmp_path), GATEWAY_BASE_URL=base)
    assert (told["status"], told["error"], told["samples"]) == ("success", None, 3)
    assert told["accuracy"] >= 2 / 3
    assert told["tokens"] > 3 * 20
