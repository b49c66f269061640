"""Plain requests through a gateway, by the real client and as bytes, over real sockets."""

import asyncio
from collections.abc import AsyncIterator

import openai
import pytest
from aiohttp import ClientSession, web
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from dynasor.gateway.settings import read_settings
from dynasor.launch.serving import prepare
from support.faulty_app import FaultyApp
from support.gateways import QUESTION, GatewayHere, Recorder, faulty, gateway, listening, serving_at
from support.live_engine import until
from support.raw_http import ask, completion, read_head, request

STREAMED = QUESTION | {"stream": True}


@pytest.fixture
async def model() -> AsyncIterator[tuple[str, FaultyApp]]:
    async with faulty() as server:
        yield server


@pytest.fixture
async def here(model: tuple[str, FaultyApp]) -> AsyncIterator[GatewayHere]:
    async with gateway(model[0], timeouts={"idle_s": 0.05, "first_token_s": 5.0}) as here:
        yield here


def prompt(text: str, **fields: object) -> dict[str, object]:
    return {"model": "tiny", "messages": [{"role": "user", "content": text}], **fields}


async def test_openai_s_async_client_gets_the_backend_s_answer(here: GatewayHere) -> None:
    async with openai.AsyncOpenAI(base_url=f"{here.url}/v1", api_key="none") as client:
        answer = await client.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": "1 + 1?"}], seed=1
        )
        text = answer.choices[0].message.content
        assert text
        assert "The answer is" in text
        assert answer.usage is not None
        assert answer.usage.completion_tokens == len(text.split())
        stream = await client.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": "1 + 1?"}], seed=1, stream=True
        )
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == text
        assert [model.id async for model in client.models.list() if "@" not in model.id] == ["tiny"]
        assert (await client.models.retrieve("tiny")).id == "tiny"


async def test_openai_s_sync_client_streams_and_completes(here: GatewayHere) -> None:
    def asked() -> tuple[str, str]:
        with openai.OpenAI(base_url=f"{here.url}/v1", api_key="none") as client:
            whole = client.completions.create(model="tiny", prompt="1 + 1?", seed=1)
            stream = client.completions.create(model="tiny", prompt="1 + 1?", seed=1, stream=True)
            return whole.choices[0].text, "".join(chunk.choices[0].text for chunk in stream if chunk.choices)

    whole, streamed = await asyncio.to_thread(asked)
    assert whole == streamed
    assert "The answer is" in whole


async def test_the_body_arrives_as_it_was_sent() -> None:
    recorder = Recorder()
    body = '{ "messages":[],"model" : "tiny", "unheard_of":{"x":[1.50,"é\\u00e9"]},"n":1 }'.encode()
    async with serving_at(recorder.app()) as url, gateway(url) as here:
        answer = await ask(here.port, completion(body))
    path, headers, received = recorder.requests[0]
    assert (answer.status, path, received) == (200, "/v1/chat/completions", body)
    assert headers["content-type"] == "application/json"


async def test_a_stream_arrives_as_it_was_sent(here: GatewayHere, model: tuple[str, FaultyApp]) -> None:
    body = STREAMED | {"seed": 3, "stream_options": {"include_usage": True}}
    async with ClientSession() as client, client.post(f"{model[0]}/v1/chat/completions", json=body) as response:
        direct = await response.read()
    answer = await ask(here.port, completion(body))
    assert answer.body == direct
    assert answer.headers["content-type"].startswith("text/event-stream")


async def test_the_client_s_key_is_not_passed_on_and_the_backend_s_is_not_told() -> None:
    recorder, secret = Recorder(), "the-backend-s-own-key"

    async def repeats(http: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": http.headers["authorization"]}}, status=401)

    async with serving_at(recorder.app()) as url:
        async with gateway(url) as here:
            await ask(here.port, completion(QUESTION, authorization="Bearer of-the-client"))
        recorder.answer = repeats
        async with gateway(url, environ={"OPENAI_API_KEY": secret}) as here:
            answer = await ask(here.port, completion(QUESTION, authorization="Bearer of-the-client"))
    assert "authorization" not in recorder.requests[0][1]
    assert recorder.requests[1][1]["authorization"] == f"Bearer {secret}"
    assert (answer.status, answer.json["error"]["message"]) == (401, "Bearer [key]")


async def test_a_refusal_of_the_backend_is_passed_on_with_its_retry_after(here: GatewayHere) -> None:
    answer = await ask(here.port, completion(prompt("[[fault: status=429 retry_after=3 should_retry=false]]")))
    assert (answer.status, answer.headers["retry-after"], answer.headers["x-should-retry"]) == (429, "3", "false")
    assert answer.json["error"]["message"] == "told to fail"
    assert (await ask(here.port, completion(prompt("[[fault: status=503 retry_after=7]]")))).headers[
        "retry-after"
    ] == "7"


async def test_a_backend_that_is_down_is_told_of_at_once() -> None:
    async with gateway("http://127.0.0.1:9/v1") as here:
        answer = await ask(here.port, completion(QUESTION))
        assert (answer.status, answer.error["code"]) == (502, "backend_down")
        assert b"127.0.0.1" not in answer.body, "a client is told no addresses"
        ready = await ask(here.port, request("GET", "/ready"))
        assert (ready.status, ready.error["code"]) == (503, "backend_down")
        assert (await ask(here.port, request("GET", "/health"))).json == {"status": "ok"}


async def test_readiness_tells_of_a_backend_that_answers(here: GatewayHere) -> None:
    assert (await ask(here.port, request("GET", "/ready"))).json == {"status": "ready"}


@pytest.mark.parametrize("fault", ["disconnect=3", "truncate=3", "hang=3"])
async def test_a_stream_that_breaks_ends_in_an_error_event(here: GatewayHere, fault: str) -> None:
    answer = await ask(here.port, completion(prompt(f"[[fault: {fault}]]", stream=True)))
    *events, last, rest = answer.body.split(b"\n\n")
    assert rest == b""
    assert len(events) == 4, "the role, and three tokens"
    assert b'"type":"server_error"' in last
    async with openai.AsyncOpenAI(base_url=f"{here.url}/v1", api_key="none", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": f"[[fault: {fault}]]"}], stream=True
        )
        with pytest.raises(openai.APIError, match="backend"):
            async for _ in stream:
                pass


async def test_an_answer_that_breaks_off_is_502(here: GatewayHere) -> None:
    answer = await ask(here.port, completion(prompt("[[fault: disconnect=1]]")))
    assert (answer.status, answer.error["code"]) == (502, "backend_broke_off")
    assert answer.headers["retry-after"] == "1"


async def test_an_answer_that_takes_too_long_is_504(model: tuple[str, FaultyApp]) -> None:
    async with gateway(model[0], timeouts={"total_s": 0.05, "first_token_s": 0.05}) as here:
        answer = await ask(here.port, completion(prompt("[[fault: hang=0]]")))
        assert (answer.status, answer.error["code"]) == (504, "backend_timeout")
        await until(lambda: model[1].ledger.active == 0)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_frees_the_backend_at_once(
    here: GatewayHere, model: tuple[str, FaultyApp], stream: bool
) -> None:
    ledger = model[1].ledger
    writers = []
    for number in range(10):
        reader, writer = await here.connect()
        writer.write(completion(prompt(f"{number} [[fault: slow=0.02 tokens=9999]]", stream=stream)))
        if stream:
            assert (await read_head(reader))[0] == 200
        writers.append(writer)
    await until(lambda: ledger.active == 10)
    for writer in writers:
        writer.close()
    async with asyncio.timeout(1):
        await until(lambda: (ledger.active, ledger.aborted) == (0, 10))
    await until(lambda: not here.serving.gateway.open)
    assert here.serving.admission.turns.running_count == here.serving.backends.in_flight == 0


async def test_beneath_another_server_a_client_that_leaves_is_noticed_too(model: tuple[str, FaultyApp]) -> None:
    url, app = model
    serving = prepare(read_settings(None, {"backends": [{"url": url}]}), {})
    async with listening(serving, HttpToolsProtocol) as here:
        assert (await ask(here.port, completion(QUESTION))).status == 200
        _, writer = await here.connect()
        writer.write(completion(prompt("[[fault: hang=0]]")))
        await until(lambda: app.ledger.active == 1)
        writer.close()
        async with asyncio.timeout(1):
            await until(lambda: (app.ledger.active, app.ledger.aborted) == (0, 1))


async def test_a_client_that_does_not_read_holds_little_and_not_for_ever() -> None:
    sent = 0

    async def endless(http: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(http)
        while True:
            await response.write(b"data: {" + b" " * 65_000 + b"}\n\n")
            sent += 1

    recorder = Recorder(endless)
    async with serving_at(recorder.app()) as url, gateway(url, timeouts={"idle_s": 0.1}) as here:
        _, writer = await here.connect()
        writer.write(completion(STREAMED))
        await until(lambda: here.serving.gateway.open != set() and sent > 0)
        await until(lambda: not here.serving.gateway.open)
        assert sent * 65_000 < 64 << 20
