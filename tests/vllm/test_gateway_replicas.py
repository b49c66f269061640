"""Two real servers of one model behind the gateway, one of which is killed under load: nothing that was asked is lost.

What cannot be saved is a plain stream whose first tokens its client has: that one ends in an error, never in silence.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from dynasor.bench.vllm_options import ENVIRONMENT, ServerOptions
from dynasor.bench.vllm_server import VLLMServer
from dynasor.clock import WallClock
from dynasor.engines.builtin import policy_folder
from support.gateways import GatewayHere, gateway
from support.killed_replica import LIMIT_S, Load, lose_one

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.xdist_group("vllm")]

TOKENS = 400
MESSAGES: Any = [
    {"role": "user", "content": "Ben has 12 apples. Then Ben gets 7 more apples. How many apples does Ben have now?"}
]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[list[VLLMServer]]:
    """Servers of their own: nobody else asks one that is killed."""
    if not ENVIRONMENT.exists() and not os.environ.get("CI"):
        pytest.skip(f"there is no {ENVIRONMENT.name}; make it with scripts/vllm-environment")
    options = [
        ServerOptions(model=policy_folder(), log=tmp_path / f"{core}.log", core=core, context_tokens=4096)
        for core in (0, 1)
    ]
    servers = [VLLMServer(each) for each in options]
    try:
        for server in servers:
            server.start()
        for server in servers:
            server.wait_until_ready(LIMIT_S)
        yield servers
    finally:
        for server in servers:
            server.stop()


@pytest.fixture
async def here(pair: list[VLLMServer]) -> AsyncIterator[GatewayHere]:
    async with gateway(*(server.url for server in pair), timeouts={"first_token_s": LIMIT_S, "idle_s": 60}) as here:
        yield here


@pytest.fixture
async def client(here: GatewayHere) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{here.url}/v1", api_key="none", max_retries=0, timeout=LIMIT_S) as client:
        yield client


def asked(**more: Any) -> dict[str, Any]:
    body = {"ignore_eos": True, **more.pop("extra_body", {})}
    return {"model": "model", "messages": MESSAGES, "max_tokens": TOKENS, "extra_body": body, **more}


async def test_a_replica_that_is_killed_under_load_loses_no_request_and_no_program(
    pair: list[VLLMServer], here: GatewayHere, client: openai.AsyncOpenAI, capsys: pytest.CaptureFixture[str]
) -> None:
    def kill() -> None:
        assert pair[0].pid is not None
        os.killpg(pair[0].pid, signal.SIGKILL)

    told = await lose_one(here, Load(client, asked()), kill, TOKENS)
    with capsys.disabled():
        print(told)  # noqa: T201 - figures to watch


@pytest.mark.parametrize("streams", [False, True])
async def test_a_plain_request_that_is_left_ends_at_the_engine(
    pair: list[VLLMServer], here: GatewayHere, client: openai.AsyncOpenAI, streams: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """And so do the branches of a program, over both replicas."""
    clock = WallClock()
    body = asked(stream=streams) | {"max_tokens": 3500}
    waiting = [asyncio.ensure_future(client.chat.completions.create(**body)) for _ in range(4)]
    told = {"dynasor": {"algorithm": "sc", "cap": 12, "policy": "even", "in_flight": True}}
    waiting.append(asyncio.ensure_future(client.chat.completions.create(**asked(extra_body=told, max_tokens=3500))))

    async def running() -> int:
        return sum([await asyncio.to_thread(server.running_count) for server in pair])

    async with asyncio.timeout(LIMIT_S):
        while await running() < 16:
            await clock.sleep(0.005)
    left_at = clock.now()
    for task in waiting:
        if task.done():
            await task.result().close()
        task.cancel()
    async with asyncio.timeout(LIMIT_S):
        while await running():
            await clock.sleep(0.005)
    took_s = clock.now() - left_at
    with capsys.disabled():
        print(f"16 requests let go by two engines in {1000 * took_s:.0f} ms")  # noqa: T201 - a figure to watch
    assert took_s < 4.0, "it takes a tenth of a second; the rest is for a machine with other work"
    assert here.serving.admission.turns.running_count == 0
