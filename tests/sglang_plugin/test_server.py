"""A real SGLang server with the plug-in, on the CPU, with the built-in policy."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from dynasor.bench.vllm_server import VLLMServer
from dynasor.engines.builtin import policy_folder
from dynasor.inside.tags import Tags, encoded
from dynasor.sglang_plugin.rids import rid
from support.live_servers import connections, until
from support.sglang_server import ENVIRONMENT, SGLangOptions

pytestmark = [pytest.mark.sglang, pytest.mark.slow, pytest.mark.xdist_group("vllm")]

SLOTS, BRANCHES, START_S = 2, 4, 300.0
ESTIMATES = {"middle": 200, "long": 300, "short": 100}
"""Tokens, by program, in the order in which they arrive."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VLLMServer]:
    if not ENVIRONMENT.exists() and not os.environ.get("CI"):
        pytest.skip(f"there is no {ENVIRONMENT.name}; make it with scripts/sglang-environment")
    options = SGLangOptions(
        model=policy_folder(),
        log=tmp_path_factory.mktemp("sglang") / "server.log",
        settings='{"ordering": "gang+sjf", "memory_s": 3600}',
        arguments=("--max-running-requests", str(SLOTS)),
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


async def ask(session: aiohttp.ClientSession, server: VLLMServer, id: str, tags: Tags, tokens: int) -> str:
    """Ask for so many tokens; returns why it ended."""
    body = {"prompt": f"Problem {tags.program}: how many?", "max_tokens": tokens, "ignore_eos": True, "rid": id}
    async with session.post(f"{server.url}/v1/completions", json=body | {"custom_params": encoded(tags)}) as response:
        assert response.status == 200, await response.text()
        return str((await response.json())["choices"][0]["finish_reason"])


async def abort(session: aiohttp.ClientSession, server: VLLMServer, program: str) -> None:
    """All requests of a program, by one call."""
    async with session.post(f"{server.url}/abort_request", json={"rid": f"{program}/"}) as response:
        assert response.status == 200, await response.text()


async def blocked(session: aiohttp.ClientSession, server: VLLMServer) -> list[asyncio.Task[str]]:
    """Requests of a program that take all places for long."""
    tasks = [
        asyncio.create_task(ask(session, server, rid("blocker", str(index)), Tags(program="blocker"), 900))
        for index in range(SLOTS)
    ]
    await until(server, "sglang:num_running_reqs", SLOTS)
    return tasks


async def test_programs_are_ganged_the_shortest_first(server: VLLMServer, session: aiohttp.ClientSession) -> None:
    blockers = await blocked(session, server)
    ended: list[str] = []

    async def branch(program: str, index: int) -> None:
        told = Tags(program=program, remaining_tokens=ESTIMATES[program], is_last=True)
        assert await ask(session, server, rid(program, str(index)), told, 16) == "length"
        ended.append(program)

    branches = [asyncio.create_task(branch(program, index)) for index in range(BRANCHES) for program in ESTIMATES]
    await until(server, "sglang:num_queue_reqs", len(branches))
    await abort(session, server, "blocker")
    assert await asyncio.gather(*blockers) == ["abort"] * SLOTS
    await asyncio.gather(*branches)
    assert ended == ["short"] * BRANCHES + ["middle"] * BRANCHES + ["long"] * BRANCHES
    assert await asyncio.to_thread(server.metric, "dynasor:reorders_total") > 0


async def test_one_abort_cuts_what_of_a_program_waits_and_nothing_else(
    server: VLLMServer, session: aiohttp.ClientSession
) -> None:
    blockers = await blocked(session, server)
    programs = ["cut", "kept", "cut", "cut-not"]
    branches = [
        asyncio.create_task(ask(session, server, rid(program, str(index)), Tags(program=program), 8))
        for index, program in enumerate(programs)
    ]
    await until(server, "sglang:num_queue_reqs", len(branches))
    await abort(session, server, "cut")
    await until(server, "sglang:num_queue_reqs", 2)
    await abort(session, server, "blocker")
    assert await asyncio.gather(*blockers, *branches) == ["abort"] * SLOTS + ["abort", "length", "abort", "length"]
