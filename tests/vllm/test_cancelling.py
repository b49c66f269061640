"""Whoever leaves a real server leaves nothing running there."""

import asyncio
from http.client import HTTPConnection

import msgspec
import pytest

from dynasor.bench.vllm_server import VLLMServer
from dynasor.clock import WallClock
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.request import Finish, ProgramId, RequestId
from support.engine_contract import collect
from support.live_engine import PATIENT, request, tokens_so_far

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.xdist_group("vllm")]

BRANCHES, MAX_TOKENS = 8, 8000
BEGUN_TOKENS = 5
SOON_S = 4.0  # it takes 20 to 200 ms; the rest is for a machine with other work


async def seconds_until_idle(server: VLLMServer) -> float:
    """How long it takes until the server works on nothing, by its own metrics."""
    clock = WallClock()
    began = clock.now()
    async with asyncio.timeout(30):
        while await asyncio.to_thread(server.running_count):
            await clock.sleep(0.002)
    return clock.now() - began


async def all_begun(engine: OpenAIEngine) -> None:
    async with asyncio.timeout(30):
        while min(tokens_so_far(engine, index) for index in range(BRANCHES)) < BEGUN_TOKENS:
            await WallClock().sleep(0.002)


async def generated_tokens(server: VLLMServer) -> float:
    return await asyncio.to_thread(server.metric, "vllm:generation_tokens_total")


async def test_cancelled_branches_free_their_slots(
    policy_server: VLLMServer, capsys: pytest.CaptureFixture[str]
) -> None:
    before = await generated_tokens(policy_server)
    engine = OpenAIEngine(Endpoint(policy_server.url, extra_body={"ignore_eos": True}, timeouts=PATIENT), environ={})
    try:
        for index in range(BRANCHES):
            engine.submit(request("How many?", index=index, max_tokens=MAX_TOKENS))
        await all_begun(engine)
        for index in range(BRANCHES):
            engine.cancel(RequestId(ProgramId("p"), index))
        freed_s = await seconds_until_idle(policy_server)
        cut = await collect(engine, BRANCHES)
    finally:
        await engine.close()
    with capsys.disabled():
        print(f"{BRANCHES} cancelled branches let go in {1000 * freed_s:.0f} ms")  # noqa: T201 - a figure to watch
    assert {completion.finish for completion in cut} == {Finish.CANCELLED}
    paid = sum(completion.tokens or 0 for completion in cut)
    assert BRANCHES * BEGUN_TOKENS <= paid < BRANCHES * MAX_TOKENS / 2
    assert await generated_tokens(policy_server) - before < BRANCHES * MAX_TOKENS / 2
    assert freed_s < SOON_S


async def test_an_abandoned_stream_leaves_nothing_running(policy_server: VLLMServer) -> None:
    before = await generated_tokens(policy_server)
    asked = {"model": policy_server.options.name, "prompt": "How many?", "stream": True}
    body = msgspec.json.encode(asked | {"max_tokens": MAX_TOKENS, "ignore_eos": True})
    connections = [HTTPConnection("127.0.0.1", policy_server.port, timeout=10) for _ in range(BRANCHES)]
    for connection in connections:
        connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
    responses = [connection.getresponse() for connection in connections]
    for response in responses:
        lines = [response.readline() for _ in range(2 * BEGUN_TOKENS)]  # every other one is blank
        assert all(line.startswith(b"data: ") for line in lines[::2])
    for response, connection in zip(responses, connections, strict=True):
        response.close()
        connection.close()
    assert await seconds_until_idle(policy_server) < SOON_S
    assert await generated_tokens(policy_server) - before < BRANCHES * MAX_TOKENS / 2
