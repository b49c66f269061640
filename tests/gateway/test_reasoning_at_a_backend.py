"""Reasoning in front of a server that says what the test tells it to."""

import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from typing import Any

import openai
import pytest
from aiohttp import web

from dynasor.clock import WallClock
from dynasor.datasets.problem import Problem
from dynasor.gateway.answering import Head
from dynasor.gateway.exchange import ClientLeft, Exchange
from dynasor.gateway.keys import hash_of
from dynasor.gateway.streaming import Streaming
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.request import Completion, ProgramId, RequestId
from dynasor.runtime.events import BranchLanded
from dynasor.runtime.ticket import Ticket
from support.gateways import KEY, GatewayHere, gateway
from support.speaking import Said, Speaking, speaking

MESSAGES: Any = [{"role": "user", "content": "6 * 7?"}]
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
Say = Callable[[dict[str, Any], int], Said]


def answers(*texts: str) -> Say:
    """One after the other, and again from the start."""
    return lambda body, number: Said(texts[number % len(texts)])


def client_of(here: GatewayHere, key: str = "none") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{here.url}/v1", api_key=key, max_retries=0)


async def ask(say: Say, settings: dict[str, Any] | None = None, **fields: Any) -> tuple[Any, Speaking]:
    """The answer to one request, and the server that was asked."""
    async with speaking(say) as (url, server), gateway(url, **(settings or {})) as here, client_of(here) as client:
        body = {"model": "tiny@sc", "messages": MESSAGES, **fields}
        answer = await client.chat.completions.create(**body)
        if body.get("stream"):
            return [chunk async for chunk in answer], server
        return answer, server


def told(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer.model_dump()["dynasor"]
    return found


async def test_the_majority_answers_by_its_shortest_branch() -> None:
    say = answers(
        "well, the answer is 41", "so very long that the answer is 42", "the answer is 42", "the answer is 42 ."
    )
    answer, server = await ask(say, extra_body={"dynasor": {"cap": 4, "policy": "even", "alternatives": True}})
    assert answer.choices[0].message.content == "the answer is 42"
    assert [(other["answer"], other["votes"]) for other in told(answer)["alternatives"]] == [("42", 3), ("41", 1)]
    assert answer.usage.model_dump(exclude_none=True) == {
        "prompt_tokens": 7,
        "completion_tokens": 5 + 8 + 4 + 5,
        "total_tokens": 7 + 22,
        "completion_tokens_details": {"reasoning_tokens": 22 - 4},
    }
    assert len(server.bodies) == 4


async def test_several_choices_are_the_best_alternatives() -> None:
    say = answers("the answer is 1", "the answer is 2", "the answer is 2")
    answer, _ = await ask(say, n=3, extra_body={"dynasor": {"cap": 3, "policy": "even"}})
    texts = [choice.message.content for choice in answer.choices]
    assert texts == ["the answer is 2", "the answer is 1", "the answer is 2"]
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    chunks, _ = await ask(say, n=2, stream=True, extra_body={"dynasor": {"cap": 3, "policy": "even"}})
    streamed = {0: "", 1: ""}
    for chunk in chunks:
        for choice in chunk.choices:
            streamed[choice.index] += choice.delta.content or ""
    assert streamed == {0: "the answer is 2", 1: "the answer is 1"}


async def test_a_certain_answer_saves_branches() -> None:
    answer, server = await ask(answers("the answer is 7"), extra_body={"dynasor": {"cap": 16}})
    assert len(server.bodies) == told(answer)["knob"] == 5
    assert told(answer)["certaindex"] == 1.0
    assert not told(answer)["uncertain"]
    assert told(answer)["saved_tokens"] == 11 * 4


async def test_a_budget_of_tokens_is_kept() -> None:
    body = {"cap": 16, "policy": "even", "token_budget": 20}
    answer, server = await ask(answers("the answer is 7"), max_tokens=5, extra_body={"dynasor": body})
    assert len(server.bodies) == 5
    assert told(answer)["stopped_by"] == "token budget"
    assert told(answer)["tokens"] == 20


async def test_grants_in_flight_cut_what_is_not_needed() -> None:
    slow = asyncio.Event()

    def say(body: dict[str, Any], number: int) -> Said:
        return Said("the answer is 7", holds=None if number < 5 else slow)

    answer, server = await ask(
        say, extra_body={"dynasor": {"cap": 8, "in_flight": True, "policy": "static:threshold=0.9,detect_at=5"}}
    )
    assert told(answer)["cut"] == 3
    assert told(answer)["cut_tokens"] == 6
    assert answer.usage.completion_tokens == 5 * 4 + 6, "what was cut was spent"
    await idle(server)


async def idle(server: Speaking) -> None:
    async with asyncio.timeout(1.0):
        while server.running:
            await WallClock().sleep(0.002)


async def test_calls_of_tools_are_voted_on_by_name_and_arguments() -> None:
    said = [
        Said(calls=(("weather", '{"at": "Bonn", "days": 1}'),)),
        Said(calls=(("weather", '{"at": "Rome", "days": 1}'),)),
        Said(calls=(("weather", '{ "days":1.0, "at":"Bonn" }'),)),
    ]
    body = {"dynasor": {"cap": 3, "policy": "even", "alternatives": True}}
    answer, server = await ask(lambda _, number: said[number % 3], tools=TOOLS, extra_body=body)
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert [(call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls] == [
        ("weather", {"at": "Bonn", "days": 1})
    ]
    assert [other["votes"] for other in told(answer)["alternatives"]] == [2, 1]
    assert server.bodies[0]["tools"] == TOOLS
    chunks, _ = await ask(lambda _, number: said[number % 3], tools=TOOLS, stream=True, extra_body=body)
    calls = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or ()]
    assert json.loads(calls[0].function.arguments) == {"at": "Bonn", "days": 1}
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


async def test_words_can_outvote_calls() -> None:
    said = [Said("it rains"), Said("it rains"), Said(calls=(("weather", "{}"),))]
    body = {"dynasor": {"cap": 3, "policy": "even"}}
    answer, _ = await ask(lambda _, number: said[number % 3], tools=TOOLS, extra_body=body)
    assert answer.choices[0].message.content == "it rains"
    assert answer.choices[0].finish_reason == "stop"


async def test_answers_by_a_schema_are_compared_as_values() -> None:
    say = answers('{"a": 1, "b": 2}', '{"a": 3}', '{"b":2,"a":1}', "no JSON")
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    body = {"dynasor": {"cap": 4, "policy": "even"}}
    answer, server = await ask(say, response_format=schema, extra_body=body)
    assert json.loads(answer.choices[0].message.content) == {"a": 1, "b": 2}
    assert told(answer)["answer"] == '{"a":1,"b":2}'
    assert all(sent["response_format"] == schema for sent in server.bodies)


async def test_what_is_not_ours_goes_to_the_backend_as_it_came() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    turns = [{"role": "user", "content": [{"type": "text", "text": "what is it?"}, image]}]
    fields: dict[str, Any] = {
        "messages": turns,
        "temperature": 0.3,
        "top_p": 0.9,
        "stop": ["END"],
        "max_completion_tokens": 9,
    }
    _, server = await ask(answers("the answer is 1"), **fields, extra_body={"top_k": 5, "dynasor": {"cap": 1}})
    sent = server.bodies[0]
    assert sent["messages"] == turns
    assert (sent["temperature"], sent["top_p"], sent["stop"], sent["max_tokens"]) == (0.3, 0.9, ["END"], 9)
    assert sent["top_k"] == 5
    assert sent["model"] == "tiny"
    assert "dynasor" not in sent
    with pytest.raises(openai.BadRequestError, match="messages that hold more than text"):
        await ask(answers("x"), model="tiny@mcts", messages=turns)


async def test_contents_in_parts_of_text_are_text() -> None:
    parts = [{"role": "user", "content": [{"type": "text", "text": "6 * "}, {"type": "text", "text": "7?"}]}]
    _, server = await ask(answers("the answer is 42"), messages=parts, extra_body={"dynasor": {"cap": 1}})
    assert server.bodies[0]["messages"] == [{"role": "user", "content": "6 * 7?"}]


async def test_the_same_seed_asks_the_same() -> None:
    seeds = []
    for seed in (5, 5, 6):
        _, server = await ask(answers("the answer is 1"), seed=seed, extra_body={"dynasor": {"cap": 3}})
        seeds.append(sorted(body["seed"] for body in server.bodies))
    assert seeds[0] == seeds[1] != seeds[2]
    assert len(set(seeds[0])) == len(seeds[0]) > 1, "and every branch another"


async def test_an_effort_is_a_cap_where_the_settings_say_so() -> None:
    settings = {"reasoning": {"efforts": {"low": 2, "high": 6}, "policy": "even"}}
    _, server = await ask(answers("the answer is 1"), settings, model="tiny", reasoning_effort="low")
    assert len(server.bodies) == 2
    assert "reasoning_effort" not in server.bodies[0]
    _, server = await ask(answers("x"), settings, model="tiny", reasoning_effort="none", stream=True)
    assert server.bodies[0]["reasoning_effort"] == "none", "it is passed on"
    _, server = await ask(answers("x"), model="tiny", reasoning_effort="high", stream=True)
    assert len(server.bodies) == 1, "nothing is mapped unasked"


async def test_thoughts_that_the_backend_tells_apart_stay_apart() -> None:
    answer, _ = await ask(lambda *_: Said("the answer is 4", thought="2 and 2"), extra_body={"dynasor": {"cap": 1}})
    assert answer.choices[0].message.content == "the answer is 4"
    assert answer.choices[0].message.reasoning_content == "2 and 2"


async def test_a_chain_is_streamed_as_it_grows_and_cut_when_its_probes_agree() -> None:
    def say(body: dict[str, Any], number: int) -> Said:
        if number:
            return Said("9}")
        return Said(" ".join(str(step) for step in range(40)), thought="", holds=never)

    never = asyncio.Event()
    chunks, server = await ask(say, model="tiny@probed-cot:interval=5,cap=40", stream=True)
    deltas = [text for chunk in chunks for choice in chunk.choices if (text := choice.delta.content)]
    assert "".join(deltas).startswith(" ".join(str(step) for step in range(20))), "though the chain never ends"
    assert len(deltas) > 1
    assert "".join(deltas).endswith("**Final answer:** \\boxed{9}")
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert told(chunks[-1])["stopped_by"] == "certain"
    await idle(server)


@pytest.mark.slow
@pytest.mark.parametrize(("hangs", "window"), [(False, 2), (True, 9)])
async def test_what_was_streamed_of_a_chain_that_begins_anew_is_no_answer(hangs: bool, window: int) -> None:
    """It breaks off after some of it was sent; the second attempt says other words, at once or to be continued."""

    def say(body: dict[str, Any], number: int) -> Said:
        if number == 0:
            return Said("one two three four five six", breaks=True)
        if body["messages"][-1]["role"] == "assistant":
            return Said("1}")
        return Said("other words " * 8, holds=asyncio.Event() if hangs else None)

    with pytest.raises(openai.APIError, match="began it anew"):
        await ask(say, model=f"tiny@probed-cot:interval=2,window={window}", stream=True, timeout=5)


async def test_a_request_that_the_backend_refuses_is_the_caller_s() -> None:
    with pytest.raises(openai.BadRequestError, match="the backend refuses the request: it cannot be"):
        await ask(lambda *_: Said(status=400), extra_body={"dynasor": {"cap": 2}})
    with pytest.raises(openai.BadRequestError, match="it cannot be"):
        await ask(lambda *_: Said(status=400), stream=True, extra_body={"dynasor": {"cap": 2}})


async def test_one_branch_that_fails_is_no_fault() -> None:
    def say(body: dict[str, Any], number: int) -> Said:
        return Said(status=400) if number == 0 else Said("the answer is 3")

    answer, _ = await ask(say, extra_body={"dynasor": {"cap": 3, "policy": "even"}})
    assert told(answer)["failed"] == 1
    assert answer.choices[0].message.content == "the answer is 3"


async def test_an_answer_without_a_vote_is_told_all_the_same() -> None:
    answer, _ = await ask(answers("a poem about rain", "rain"), extra_body={"dynasor": {"cap": 2, "policy": "even"}})
    assert answer.choices[0].message.content == "rain"
    assert told(answer)["answer"] is None
    assert told(answer)["uncertain"]


async def test_whoever_leaves_leaves_nothing_running_and_pays_for_what_ran() -> None:
    never = asyncio.Event()
    tenants = [{"name": "a", "key_hashes": [hash_of(KEY)]}]
    async with (
        speaking(lambda *_: Said("one two three four", holds=never)) as (url, server),
        gateway(url, tenants=tenants) as here,
        client_of(here, KEY) as client,
    ):
        call = client.chat.completions.create(model="tiny@sc", messages=MESSAGES, extra_body={"dynasor": {"cap": 5}})
        asking = asyncio.ensure_future(call)
        async with asyncio.timeout(60):
            while server.running < 3:
                await WallClock().sleep(0.002)
        asking.cancel()
        await idle(server)
        async with asyncio.timeout(1.0):
            while here.serving.admission.turns.running_count:
                await WallClock().sleep(0.002)
        lane = here.serving.admission.turns.lanes[0]
        assert lane.served_tokens > 0


async def test_a_tenant_s_branches_are_bounded() -> None:
    tenants = [{"name": "a", "key_hashes": [hash_of(KEY)], "max_branches": 3}]
    say = answers("the answer is 1", "the answer is 2")
    async with speaking(say) as (url, server), gateway(url, tenants=tenants) as here, client_of(here, KEY) as client:
        answer = await client.chat.completions.create(model="tiny@sc", messages=MESSAGES)
        assert told(answer)["cap"] == 3
        with pytest.raises(openai.BadRequestError, match="4 branches are asked for; 3 is the most here"):
            await client.chat.completions.create(model="tiny@sc:cap=4", messages=MESSAGES)
    assert len(server.bodies) <= 3


async def test_a_backend_that_is_gone_is_told_of() -> None:
    async with speaking(answers("the answer is 1")) as (url, _), gateway(url) as here, client_of(here) as client:
        await client.chat.completions.create(model="tiny@sc:cap=1", messages=MESSAGES)
        here.serving.backends.all[0].models.clear()
    async with gateway("http://127.0.0.1:9") as here, client_of(here) as client:
        with pytest.raises(openai.NotFoundError, match="there is no model 'tiny' here"):
            await client.chat.completions.create(model="tiny@sc", messages=MESSAGES)


async def test_the_only_model_need_not_be_named() -> None:
    body = {"model": "", "messages": MESSAGES, "extra_body": {"model": None, "dynasor": {"cap": 1}}}
    answer, server = await ask(answers("the answer is 1"), **body)
    assert server.bodies[0]["model"] == "tiny"
    assert answer.choices[0].message.content == "the answer is 1"


async def test_a_deadline_shrinks_what_is_granted_and_one_that_has_passed_is_refused() -> None:
    body = {"dynasor": {"cap": 4, "policy": "even", "deadline_s": 1e-9}}
    with pytest.raises(openai.RateLimitError, match="they have passed while the request waited"):
        await ask(answers("the answer is 1"), extra_body=body)
    answer, _ = await ask(answers("the answer is 1"), extra_body={"dynasor": {"cap": 4, "deadline_s": 60.0}})
    assert answer.choices[0].message.content == "the answer is 1"


async def test_asking_for_no_saving_is_no_reasoning() -> None:
    _, server = await ask(answers("x"), model="tiny", stream=True, extra_body={"dynasor": {"saving_effort": "none"}})
    assert len(server.bodies) == 1
    assert server.bodies[0]["dynasor"] == {"saving_effort": "none"}, "it is passed on"


@pytest.mark.slow
async def test_what_one_backend_loses_another_is_asked_for() -> None:
    async with (
        speaking(lambda *_: Said("the answer is 4", breaks=True)) as (bad, broken),
        speaking(answers("the answer is 4")) as (good, server),
        gateway(bad, good) as here,
        client_of(here) as client,
    ):
        calls = [client.chat.completions.create(model="tiny@sc:cap=5", messages=MESSAGES) for _ in range(4)]
        for answer in await asyncio.gather(*calls):
            assert answer.choices[0].message.content == "the answer is 4"
            assert told(answer)["failed"] == 0
    assert broken.bodies
    assert server.bodies


@pytest.mark.slow
async def test_a_backend_that_dies_and_one_that_comes_later() -> None:
    """The first dies between two requests; another one comes up at an address that was known from the start."""
    late = Speaking(answers("the answer is 4"))
    async with AsyncExitStack() as later:
        runner = web.AppRunner(late.app())
        await runner.setup()
        later.push_async_callback(runner.cleanup)
        with closing(socket.socket()) as reserved:
            reserved.bind(("127.0.0.1", 0))
            port = reserved.getsockname()[1]
        async with AsyncExitStack() as first:
            url, _ = await first.enter_async_context(speaking(answers("the answer is 4")))
            here = await later.enter_async_context(gateway(url, f"http://127.0.0.1:{port}"))
            client = await later.enter_async_context(client_of(here))
            await client.chat.completions.create(model="tiny@sc:cap=2", messages=MESSAGES)
            await web.TCPSite(runner, "127.0.0.1", port).start()
            await here.serving.backends.examine()
            await asyncio.gather(
                *(client.chat.completions.create(model="tiny@sc:cap=8", messages=MESSAGES) for _ in range(6))
            )
            assert late.bodies, "it is asked too"
        before = len(late.bodies)
        answer = await client.chat.completions.create(model="tiny@sc:cap=5", messages=MESSAGES, timeout=20)
        assert told(answer)["failed"] == 0
        assert len(late.bodies) > before


async def test_a_client_that_does_not_read_is_let_go() -> None:
    async def never(_: object) -> None:
        await asyncio.Event().wait()

    exchange = Exchange({"type": "http"}, asyncio.Event().wait, never)  # type: ignore[arg-type]
    exchange.begun = True
    ticket = Ticket(SelfConsistency(Problem("p", ""), Setup(cap=1)))
    done = Completion(id=RequestId(ProgramId("p"), 0), text="x")
    ticket.take(BranchLanded(ticket.program, done))
    with pytest.raises(ClientLeft):
        await Streaming(exchange, Head("id", 0, "m", True), "comments", 0.01).follow(ticket, live=False)
