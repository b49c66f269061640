"""A real server with the plug-in, on the CPU, with the built-in policy."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from dynasor.bench.vllm_options import ENVIRONMENT, ServerOptions
from dynasor.bench.vllm_server import VLLMServer
from dynasor.engines.builtin import policy_folder
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.engines.retrying import RetryPolicy
from dynasor.inside.tags import Tags, encoded
from dynasor.request import Finish
from support.engine_contract import collect
from support.live_engine import request
from support.live_servers import connections, until
from support.process_groups import all_gone

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.xdist_group("vllm")]

SLOTS, BRANCHES, START_S = 2, 4, 300.0
ESTIMATES = {"middle": 200, "long": 300, "short": 100}
"""Tokens, by program, in the order in which they arrive."""
SETTINGS = json.dumps({"dynasor": {"ordering": "gang+sjf", "memory_s": 3600}})
SCHEDULER = ("--scheduler-cls", "dynasor.vllm_plugin.ProgramScheduler", "--additional-config", SETTINGS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VLLMServer]:
    if not ENVIRONMENT.exists() and not os.environ.get("CI"):
        pytest.skip(f"there is no {ENVIRONMENT.name}; make it with scripts/vllm-environment")
    log = tmp_path_factory.mktemp("plugin") / "server.log"
    options = ServerOptions(
        model=policy_folder(), log=log, context_tokens=8192, arguments=(*SCHEDULER, "--max-num-seqs", str(SLOTS))
    )
    made = VLLMServer(options)
    try:
        made.start().wait_until_ready(START_S)
        yield made
    finally:
        made.stop()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with connections() as opened:
        yield opened


async def ask(session: aiohttp.ClientSession, server: VLLMServer, tags: Tags, tokens: int) -> int:
    """Ask for so many tokens; returns how many came."""
    prompt = f"Problem {tags.program}: how many apples are there?"
    body = {"prompt": prompt, "max_tokens": tokens, "ignore_eos": True, "vllm_xargs": encoded(tags)}
    async with session.post(f"{server.url}/v1/completions", json=body) as response:
        assert response.status == 200, await response.text()
        return int((await response.json())["usage"]["completion_tokens"])


async def metric(server: VLLMServer, name: str) -> float:
    return await asyncio.to_thread(server.metric, f"dynasor:{name}")


async def test_programs_are_ganged_the_shortest_first(server: VLLMServer, session: aiohttp.ClientSession) -> None:
    blockers = [asyncio.create_task(ask(session, server, Tags(program="blocker"), 8000)) for _ in range(SLOTS)]
    await until(server, "vllm:num_requests_running", SLOTS)
    ended: list[str] = []

    async def branch(program: str) -> None:
        told = Tags(program=program, remaining_tokens=ESTIMATES[program], is_last=True)
        assert await ask(session, server, told, 16) == 16
        ended.append(program)

    branches = [asyncio.create_task(branch(program)) for _ in range(BRANCHES) for program in ESTIMATES]
    await until(server, "vllm:num_requests_waiting", len(branches))
    for blocker in blockers:
        blocker.cancel()  # leaves, which aborts it at the server: both places are free
    await asyncio.gather(*branches)
    assert ended == ["short"] * BRANCHES + ["middle"] * BRANCHES + ["long"] * BRANCHES
    await until(server, "vllm:num_requests_running", 0)


async def test_what_is_counted_is_in_the_metrics_of_the_server(
    server: VLLMServer, session: aiohttp.ClientSession
) -> None:
    started, bad = await metric(server, "started_total"), await metric(server, "bad_tags_total")
    assert await metric(server, "reorders_total") > 0
    await ask(session, server, Tags(program="counted"), 4)
    xargs = {"dynasor_remaining_tokens": "many", "dynasor_knob": -1}
    body = {"prompt": "How many?", "max_tokens": 4, "session_id": "counted", "vllm_xargs": xargs}
    async with session.post(f"{server.url}/v1/completions", json=body) as response:
        assert response.status == 200, "bad tags never cost a request"
    assert await metric(server, "started_total") == started + 2
    assert await metric(server, "bad_tags_total") == bad + 2
    assert await metric(server, "programs_running") <= await metric(server, "requests_running") <= SLOTS


async def test_several_completions_of_a_request_come_back(server: VLLMServer, session: aiohttp.ClientSession) -> None:
    body = {"prompt": "How many?", "max_tokens": 5, "n": 5, "ignore_eos": True}
    async with session.post(f"{server.url}/v1/completions", json=body) as response:
        answer = await response.json()
    assert sorted(choice["index"] for choice in answer["choices"]) == [0, 1, 2, 3, 4]
    assert answer["usage"]["completion_tokens"] == 25


async def test_a_server_that_is_killed_and_started_again_loses_nothing(server: VLLMServer) -> None:
    tags = encoded(Tags(program="killed", remaining_tokens=800))
    endpoint = Endpoint(
        server.url,
        retries=RetryPolicy(retries=1000, cap_s=1.0, budget_floor=10_000),
        extra_body={"ignore_eos": True, "vllm_xargs": tags},
    )
    engine = OpenAIEngine(endpoint, environ={})
    try:
        for index in range(2 * SLOTS):
            engine.submit(request("How many?", index=index, max_tokens=400))
        await until(server, "vllm:num_requests_running", SLOTS)
        group = server.pid
        assert group is not None
        os.killpg(group, signal.SIGKILL)
        assert await all_gone(group)
        await asyncio.to_thread(restart, server)
        completions = await collect(engine, 2 * SLOTS)
    finally:
        await engine.close()
    assert [completion.finish for completion in completions] == [Finish.LENGTH] * 2 * SLOTS
    assert all((completion.tokens or 0) >= 400 for completion in completions), "what was lost was paid for too"
    assert await metric(server, "started_total") >= 2 * SLOTS


def restart(server: VLLMServer) -> None:
    """Start it again where it was, so that clients find it."""
    port = server.port
    server.stop()
    server._port = port
    server.options = ServerOptions(
        model=server.options.model,
        log=Path(f"{server.options.log}.again"),
        context_tokens=server.options.context_tokens,
        arguments=server.options.arguments,
        port=port,
    )
    server.start().wait_until_ready(START_S)
