"""Reasoning over HTTP: the real OpenAI client, a real socket, and the built-in model behind it."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from dynasor.clock import WallClock
from dynasor.gateway.settings import read_settings
from dynasor.launch.serving import prepare
from support.gateway_threads import in_thread
from support.gateways import GatewayHere

QUESTION = "Ben has 12 apples. Then Ben gets 7 more apples. How many apples does Ben have now?"
MESSAGES: Any = [{"role": "user", "content": QUESTION}]
ALGORITHMS = ["sc", "weighted-sc", "best-of-n", "rebase", "mcts", "probed-cot", "deepconf"]
SOON_S = 1.0


@pytest.fixture(scope="module")
def here() -> Iterator[GatewayHere]:
    with in_thread(prepare(read_settings(None, {"port": 0}), {})) as here:
        yield here


@pytest.fixture
def client(here: GatewayHere) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{here.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def branches(answer: Any) -> dict[str, Any]:
    told: dict[str, Any] = answer.model_dump()["dynasor"]
    return told


def asked(algorithm: str) -> dict[str, Any]:
    return {"model": f"builtin@{algorithm}", "messages": MESSAGES, "max_tokens": 128, "seed": 7}


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_answers(client: openai.OpenAI, algorithm: str) -> None:
    answer = client.chat.completions.create(**asked(algorithm), extra_body={"dynasor": {"alternatives": True}})
    choice, told, usage = answer.choices[0], branches(answer), answer.usage
    assert answer.model == f"builtin@{algorithm}"
    assert choice.finish_reason == "stop"
    assert choice.message.content
    assert f"The answer is {told['answer']}" in choice.message.content
    assert 0.0 <= told["certaindex"] <= 1.0
    assert usage is not None
    assert usage.completion_tokens == told["tokens"] > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens > 20
    assert usage.completion_tokens_details is not None
    shown = usage.completion_tokens - (usage.completion_tokens_details.reasoning_tokens or 0)
    assert 0 < shown <= 128, "what is not in the text counts as reasoning"
    assert told["alternatives"][0]["answer"] == told["answer"]
    assert sum(other["votes"] for other in told["alternatives"]) <= told["branches"]


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_streams(client: openai.OpenAI, algorithm: str) -> None:
    stream = client.chat.completions.create(**asked(algorithm), stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    finishes = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    told = next(chunk.model_dump()["dynasor"] for chunk in chunks if "dynasor" in chunk.model_dump())
    assert chunks[0].choices[0].delta.role == "assistant"
    assert f"The answer is {told['answer']}" in text
    assert [reason for reason in finishes if reason] == ["stop"], "one, and it is the last of all"
    assert finishes[-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == told["tokens"]
    assert len({chunk.id for chunk in chunks}) == 1


def test_text_completions_are_answered_too(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="builtin@sc:cap=3", prompt=f"{QUESTION}\n", max_tokens=64)
    assert answer.object == "text_completion"
    assert branches(answer)["cap"] == 3
    assert answer.choices[0].finish_reason == "stop"
    assert "The answer is" in answer.choices[0].text
    stream = client.completions.create(model="builtin@sc:cap=3", prompt=f"{QUESTION}\n", max_tokens=64, stream=True)
    assert "The answer is" in "".join(chunk.choices[0].text for chunk in stream)


def test_a_branch_that_was_cut_off_says_so(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="builtin@sc:cap=2", messages=MESSAGES, max_tokens=4)
    assert answer.choices[0].finish_reason == "length"
    assert branches(answer)["uncertain"]


def test_a_stream_ends_in_one_done(client: openai.OpenAI) -> None:
    body = {"model": "builtin@sc:cap=2", "messages": MESSAGES, "stream": True, "max_tokens": 64}
    body |= {"dynasor": {"progress": "comments"}}
    with client.chat.completions.with_streaming_response.create(model="", messages=[], extra_body=body) as response:
        lines = [line for line in response.iter_lines() if line]
    assert lines.count("data: [DONE]") == 1
    assert lines[-1] == "data: [DONE]"
    comments = [line for line in lines if line.startswith(":")]
    assert comments
    assert " of 2, certaindex " in comments[0]
    assert all(json.loads(line[6:])["object"] == "chat.completion.chunk" for line in lines[:-1] if line[0] != ":")


def test_probes_are_among_the_tokens_and_their_chain_is_streamed_live(client: openai.OpenAI) -> None:
    probing = {"probe_text": "\nThe answer is ", "certainty_window": 2, "token_interval": 4, "mode": "prompting"}
    stream = client.chat.completions.create(
        model="builtin", messages=MESSAGES, max_tokens=64, stream=True, temperature=0.0,
        extra_body={"adaptive_compute": probing}, stream_options={"include_usage": True},
    )  # fmt: skip
    chunks = list(stream)
    pieces = [text for chunk in chunks if chunk.choices and (text := chunk.choices[0].delta.content)]
    assert len(pieces) > 2, "it came piece by piece"
    told = next(chunk.model_dump()["dynasor"] for chunk in chunks if "dynasor" in chunk.model_dump())
    assert told["requests"] > 1
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.completion_tokens_details is not None
    assert (usage.completion_tokens_details.reasoning_tokens or 0) > 0, "the probes"


@pytest.mark.slow
@pytest.mark.parametrize("streams", [False, True])
async def test_whoever_leaves_frees_the_engine_within_a_second(here: GatewayHere, streams: bool) -> None:
    turns, clock = here.serving.admission.turns, WallClock()
    busy = {"model": "builtin@sc:cap=20", "messages": MESSAGES, "max_tokens": 3500, "temperature": 2.0}
    async with openai.AsyncOpenAI(base_url=f"{here.url}/v1", api_key="none", max_retries=0) as client:
        call = client.chat.completions.create(**busy, stream=streams, extra_body={"ignore_eos": True})
        asking = asyncio.ensure_future(call)
        async with asyncio.timeout(60):
            while not turns.running_count:
                await clock.sleep(0.005)
        asking.cancel()
        async with asyncio.timeout(SOON_S):
            while turns.running_count:
                await clock.sleep(0.005)
        answer = await client.chat.completions.create(model="builtin@sc:cap=1", messages=MESSAGES, timeout=10)
    assert answer.choices[0].message.content, "there is room for others"


@pytest.mark.parametrize(
    ("changes", "param", "told"),
    [
        ({"extra_body": {"dynasor": {"algorithm": "mcts"}}}, "dynasor.algorithm", "leave one of them out"),
        ({"extra_body": {"dynasor": {"cap": "x"}}}, "dynasor", "Expected `int | null`"),
        ({"extra_body": {"dynasor": {"cap": 65}}}, "dynasor.cap", "must be 1 to 64"),
        ({"extra_body": {"dynasor": {"policy": "/etc/policy.toml"}}}, "dynasor.policy", "files are the gateway's own"),
        ({"extra_body": {"dynasor": {"policy": "decidedd"}}}, "dynasor", "did you mean 'decided'"),
        ({"extra_body": {"dynasor": {"scorer": "logprob"}}}, "dynasor", "sc reads no scores"),
        ({"extra_body": {"dynasor": {"settings": {"a": 1}}}}, "dynasor", "sc has no settings"),
        ({"extra_body": {"dynasor": {"deadline_s": 0}}}, "dynasor.deadline_s", "more than 0"),
        ({"extra_body": {"dynasor": {"token_budget": 0}}}, "dynasor.token_budget", "must be 1 to"),
        ({"model": "builtin@sc:cap=many"}, "model", "must be a whole number"),
        ({"model": "builtin@best-of-n", "extra_body": {"dynasor": {"scorer": "reward"}}}, "dynasor", "has none"),
        ({"model": "builtin@best-of-n", "extra_body": {"dynasor": {"scorer": "x"}}}, "dynasor", "unknown scorer"),
        ({"model": "builtin@rebase:tempature=1"}, "dynasor", "did you mean 'temperature'"),
        ({"model": "builtin@rebase", "extra_body": {"dynasor": {"settings": {"rule": 1}}}}, "dynasor", "must be text"),
        ({"model": "builtin@rebase", "extra_body": {"dynasor": {"settings": {"x": 1}}}}, "dynasor", "unknown setting"),
        ({"model": "builtin@mcts:parallel=65"}, "dynasor", "64 is the most"),
        ({"model": "builtin@probed-sc"}, "dynasor", "ask for fewer chains"),
        ({"model": "builtin@probed-cot", "response_format": {"type": "json_object"}}, "response_format", "use sc"),
        ({"logprobs": True}, "logprobs", "has no meaning"),
        ({"n": 21}, "n", "20 branches at most"),
        ({"temperature": 3}, "temperature", "0 to 2"),
        ({"top_p": 0}, "top_p", "more than 0"),
        ({"stop": [""]}, "stop", "none of them empty"),
        ({"max_tokens": 0}, "max_tokens", "1 or more"),
        ({"messages": []}, "messages", "is empty"),
        ({"messages": [{"content": "x"}]}, "messages", "has no role"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(
    client: openai.OpenAI, changes: dict[str, Any], param: str, told: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**{"model": "builtin@sc", "messages": MESSAGES, **changes})
    assert refused.value.param == param
    assert told in refused.value.message


def test_a_model_that_is_not_there(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="there is no model 'nope' here"):
        client.chat.completions.create(model="nope@sc", messages=MESSAGES)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["best-of-n", "rebase"])
def test_a_reward_model_scores_where_the_gateway_has_one(algorithm: str) -> None:
    settings = {"port": 0, "reasoning": {"reward": "builtin", "cap": 6}}
    with (
        in_thread(prepare(read_settings(None, settings), {})) as here,
        openai.OpenAI(base_url=f"{here.url}/v1", api_key="none", max_retries=0) as client,
    ):
        answer = client.chat.completions.create(
            **asked(algorithm), extra_body={"dynasor": {"alternatives": True, "policy": "even"}}
        )
    told = branches(answer)
    assert told["answer"] == "19", "the reward model knows the right one"
    assert told["cap"] == 6
    assert all("weight" in other for other in told["alternatives"])
