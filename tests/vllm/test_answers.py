"""What the live engine makes of a real server's answers, beside what the server says when it is asked directly."""

import asyncio
from typing import Any

import pytest

from dynasor.bench.vllm_server import VLLMServer
from dynasor.engines.endpoint import Api, Endpoint
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.request import Finish
from support.json_http import post
from support.live_engine import ask

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.xdist_group("vllm")]

QUESTION = "Tom has 3 apples. He buys 4 more. How many apples does Tom have now?"
ENDINGS: dict[Finish, dict[str, Any]] = {Finish.STOP: {"max_tokens": 200}, Finish.LENGTH: {"max_tokens": 7}}


def asked_directly(server: VLLMServer, api: Api, **settings: Any) -> tuple[str, str, int, int, list[float]]:
    """Text, finish reason, tokens of the answer and of the prompt, and log-probabilities, of a whole answer."""
    body = {"model": server.options.name, "temperature": 0.0, **settings}
    if api == "chat":
        turns = [{"role": "user", "content": QUESTION}]
        answer = post(f"{server.url}/v1/chat/completions", body | {"messages": turns, "logprobs": True})
        text = answer["choices"][0]["message"]["content"]
        logprobs = [token["logprob"] for token in answer["choices"][0]["logprobs"]["content"]]
    else:
        answer = post(f"{server.url}/v1/completions", body | {"prompt": QUESTION, "logprobs": 1})
        text = answer["choices"][0]["text"]
        logprobs = answer["choices"][0]["logprobs"]["token_logprobs"]
    usage = answer["usage"]
    return text, answer["choices"][0]["finish_reason"], usage["completion_tokens"], usage["prompt_tokens"], logprobs


@pytest.mark.parametrize("ending", [Finish.STOP, Finish.LENGTH])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("api", ["completions", "chat"])
async def test_text_tokens_finish_and_log_probabilities(
    policy_server: VLLMServer, api: Api, stream: bool, ending: Finish
) -> None:
    said = await asyncio.to_thread(asked_directly, policy_server, api, **ENDINGS[ending])
    text, reason, tokens, prompt_tokens, logprobs = said
    engine = OpenAIEngine(Endpoint(policy_server.url, api=api, stream=stream), environ={})
    try:
        completion = await ask(engine, QUESTION, temperature=0.0, logprobs=True, **ENDINGS[ending])
    finally:
        await engine.close()
    assert (completion.text, completion.tokens, completion.prompt_tokens) == (text, tokens, prompt_tokens)
    assert completion.finish.value == reason == ending.value
    assert len(logprobs) == tokens
    # The second time the prompt is read from the prefix cache, in pieces of other sizes: bfloat16 rounds otherwise.
    assert completion.mean_logprob == pytest.approx(sum(logprobs) / len(logprobs), abs=0.02)


async def test_a_stop_string_is_left_out_of_the_text_and_counted(policy_server: VLLMServer) -> None:
    said = await asyncio.to_thread(asked_directly, policy_server, "chat", stop=["="], max_tokens=200)
    engine = OpenAIEngine(Endpoint(policy_server.url, api="chat"), environ={})
    try:
        completion = await ask(engine, QUESTION, temperature=0.0, stop=("=",), max_tokens=200)
    finally:
        await engine.close()
    assert (completion.text, completion.finish, completion.tokens) == (said[0], Finish.STOP, said[2])
    assert "=" not in completion.text
