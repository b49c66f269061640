"""A real server of a reward model, beside one of the policy that knows what every reward must be."""

import asyncio
from typing import Any

import pytest

from dynasor.bench.vllm_server import VLLMServer
from support.json_http import post

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.xdist_group("vllm")]

TEXTS = [
    f"Question: Tom has {have} apples. He buys {more} more. How many apples does Tom have now?\nSolution:\nTom has "
    for have, more in ((3, 4), (17, 5), (70, 7))
]


def rewards(server: VLLMServer, texts: list[str]) -> list[float]:
    answer = post(f"{server.url}/classify", {"model": server.options.name, "input": texts, "use_activation": False})
    return [entry["probs"][0] for entry in sorted(answer["data"], key=lambda entry: entry["index"])]


def preference(server: VLLMServer, text: str) -> float:
    """How much likelier the policy goes on with "1" than with "7", in natural logarithms."""
    body = {"model": server.options.name, "prompt": text, "max_tokens": 1, "logprobs": 20, "temperature": 0.0}
    logprobs: dict[str, Any] = post(f"{server.url}/v1/completions", body)["choices"][0]["logprobs"]["top_logprobs"][0]
    return float(logprobs["1"] - logprobs["7"])


async def test_a_reward_is_what_the_policy_says_it_must_be(
    policy_server: VLLMServer, reward_server: VLLMServer
) -> None:
    given = await asyncio.to_thread(rewards, reward_server, TEXTS)
    due = [await asyncio.to_thread(preference, policy_server, text) for text in TEXTS]
    assert given == pytest.approx(due, abs=0.1)  # both compute in bfloat16
    assert max(due) - min(due) > 1.0


async def test_both_servers_work_at_once(policy_server: VLLMServer, reward_server: VLLMServer) -> None:
    asked = [asyncio.to_thread(preference, policy_server, TEXTS[0]) for _ in range(10)]
    scored = [asyncio.to_thread(rewards, reward_server, TEXTS) for _ in range(10)]
    assert len(await asyncio.gather(*asked, *scored)) == 20
    assert policy_server.is_healthy()
    assert reward_server.is_healthy()
