"""The real OpenAI client, through the gateway, to a real server."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from dynasor.bench.vllm_server import VLLMServer
from dynasor.clock import WallClock
from support.gateways import GatewayHere, gateway

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.xdist_group("vllm")]

MESSAGES: Any = [
    {"role": "user", "content": "Ben has 12 apples. Then Ben gets 7 more apples. How many apples does Ben have now?"}
]
PROBES = {"suffix": "\n</think>\nThe answer is", "interval": 8, "tokens": 8, "temperature": 0.0}
SOON_S = 4.0  # it takes 20 to 200 ms; the rest is for a machine with other work


@pytest.fixture
async def here(policy_server: VLLMServer) -> AsyncIterator[GatewayHere]:
    async with gateway(policy_server.url) as here:
        yield here


@pytest.fixture
async def client(here: GatewayHere) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{here.url}/v1", api_key="none", max_retries=0, timeout=120) as client:
        yield client


async def model(client: openai.AsyncOpenAI) -> str:
    return (await client.models.list()).data[0].id


async def generated(server: VLLMServer) -> int:
    return int(await asyncio.to_thread(server.metric, "vllm:generation_tokens_total"))


def asking(name: str, algorithm: str) -> dict[str, Any]:
    body: dict[str, Any] = {"algorithm": algorithm, "alternatives": True}
    if algorithm.startswith("probed"):
        body["settings"] = PROBES
    return {"model": name, "messages": MESSAGES, "max_tokens": 128, "extra_body": {"dynasor": body}}


@pytest.mark.parametrize(
    "algorithm", ["sc", "weighted-sc", "best-of-n", "rebase", "mcts", "probed-cot", "probed-sc", "deepconf"]
)
async def test_each_algorithm_answers_and_counts_every_token(
    policy_server: VLLMServer, client: openai.AsyncOpenAI, algorithm: str
) -> None:
    body = asking(await model(client), algorithm)
    before = await generated(policy_server)
    answer = await client.chat.completions.create(**body)
    told = answer.model_dump()["dynasor"]
    assert answer.usage is not None
    assert answer.usage.completion_tokens == told["tokens"]
    spent = await generated(policy_server) - before
    if told["cut"] == 0:
        assert answer.usage.completion_tokens == spent, "by the server's own count"
    else:
        assert 0 < answer.usage.completion_tokens <= spent
    assert told["answer"] in (answer.choices[0].message.content or "")
    stream = await client.chat.completions.create(**body, stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    last = next(chunk.model_dump()["dynasor"] for chunk in chunks if "dynasor" in chunk.model_dump())
    assert last["answer"] in text
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == last["tokens"]


async def test_probes_are_spent_tokens(policy_server: VLLMServer, client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(**asking(await model(client), "probed-cot"), temperature=0.0)
    told = answer.model_dump()["dynasor"]
    assert told["requests"] > 1
    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    assert (answer.usage.completion_tokens_details.reasoning_tokens or 0) > 0


@pytest.mark.parametrize("streams", [False, True])
async def test_whoever_leaves_leaves_nothing_running(
    policy_server: VLLMServer, here: GatewayHere, client: openai.AsyncOpenAI, streams: bool
) -> None:
    name, clock = await model(client), WallClock()
    call = client.chat.completions.create(
        model=f"{name}@sc:cap=16", messages=MESSAGES, max_tokens=8000, stream=streams,
        extra_body={"ignore_eos": True, "dynasor": {"in_flight": True}},
    )  # fmt: skip
    waiting = asyncio.ensure_future(call)
    async with asyncio.timeout(60):
        while await asyncio.to_thread(policy_server.running_count) < 8:
            await clock.sleep(0.005)
    left_at = clock.now()
    waiting.cancel()
    async with asyncio.timeout(60):
        while await asyncio.to_thread(policy_server.running_count) or here.serving.admission.turns.running_count:
            await clock.sleep(0.005)
    assert clock.now() - left_at < SOON_S
