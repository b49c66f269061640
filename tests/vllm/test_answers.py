"""What the live engine makes of a real server's answers, beside what the server says when it is asked directly."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dynasor.bench.vllm_server import VLLMServer
from dynasor.engines.endpoint import Api, Endpoint
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.request import Finish, Message, continued
from support.engine_contract import collect_reports
from support.json_http import post
from support.live_engine import PATIENT, ask, request

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.xdist_group("vllm")]

QUESTION = "Tom has 3 apples. He buys 4 more. How many apples does Tom have now?"
ENDINGS: dict[Finish, dict[str, Any]] = {Finish.STOP: {"max_tokens": 200}, Finish.LENGTH: {"max_tokens": 7}}


@asynccontextmanager
async def engine_at(server: VLLMServer, **settings: Any) -> AsyncIterator[OpenAIEngine]:
    engine = OpenAIEngine(Endpoint(server.url, timeouts=PATIENT, **settings), environ={})
    try:
        yield engine
    finally:
        await engine.close()


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
    async with engine_at(policy_server, api=api, stream=stream) as engine:
        completion = await ask(engine, QUESTION, temperature=0.0, logprobs=True, **ENDINGS[ending])
    assert (completion.text, completion.tokens, completion.prompt_tokens) == (text, tokens, prompt_tokens)
    assert completion.finish.value == reason == ending.value
    assert len(logprobs) == tokens
    # The second time the prompt is read from the prefix cache, in pieces of other sizes: bfloat16 rounds otherwise.
    assert completion.mean_logprob == pytest.approx(sum(logprobs) / len(logprobs), abs=0.02)


async def test_a_stop_string_is_left_out_of_the_text_and_counted(policy_server: VLLMServer) -> None:
    said = await asyncio.to_thread(asked_directly, policy_server, "chat", stop=["="], max_tokens=200)
    async with engine_at(policy_server, api="chat") as engine:
        completion = await ask(engine, QUESTION, temperature=0.0, stop=("=",), max_tokens=200)
    assert (completion.text, completion.finish, completion.tokens) == (said[0], Finish.STOP, said[2])
    assert "=" not in completion.text


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("api", ["completions", "chat"])
async def test_the_stop_string_that_ended_it(policy_server: VLLMServer, api: Api, stream: bool) -> None:
    prompt = f"Question: {QUESTION}\nSolution:\n" if api == "completions" else QUESTION
    async with engine_at(policy_server, api=api, stream=stream) as engine:
        stopped = await ask(engine, prompt, temperature=0.0, stop=("zz", "\n", "T" * 9))
        ended = await ask(engine, prompt, temperature=0.0, stop=("zz",))
        cut = await ask(engine, prompt, temperature=0.0, stop=("zz",), max_tokens=3)
    assert [(done.finish, done.stopped_at) for done in (stopped, ended, cut)] == [
        (Finish.STOP, "\n"),
        (Finish.STOP, None),
        (Finish.LENGTH, None),
    ]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_chat_that_is_cut_and_gone_on_with_ends_as_if_it_were_not(
    policy_server: VLLMServer, stream: bool
) -> None:
    asked = (Message("user", QUESTION),)
    async with engine_at(policy_server, stream=stream) as engine:
        whole = (await ask(engine, asked, temperature=0.0)).text
        edges = [place for place, letter in enumerate(whole) if letter in " \n"]  # where tokens begin
        assert len(edges) > 4
        for edge in (*edges, whole.index("\n") + 1, len(whole)):
            rest = await ask(engine, continued(asked, whole[:edge]), temperature=0.0)
            assert (rest.finish, rest.text) == (Finish.STOP, whole[edge:])


@pytest.mark.parametrize("api", ["completions", "chat"])
async def test_reports_are_what_the_answer_was(policy_server: VLLMServer, api: Api) -> None:
    async with engine_at(policy_server, api=api) as engine:
        engine.submit(request(QUESTION, temperature=0.0, max_tokens=40, report_every=4, logprobs=True))
        reports, (completion,) = await collect_reports(engine, 1)
    assert reports
    assert all(completion.text.startswith(report.text) and report.lowest_logprob is not None for report in reports)
    assert [report.tokens // 4 for report in reports] == sorted({report.tokens // 4 for report in reports})
    assert completion.lowest_logprob is not None
