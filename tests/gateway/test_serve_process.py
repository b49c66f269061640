"""`dynasor serve` as a process: its slow and its quick end, and the built-in model behind it."""

import asyncio
import signal

import openai
import pytest

from dynasor.clock import WallClock
from support.gateways import QUESTION, faulty
from support.live_engine import until
from support.raw_http import ask, completion, read_answer, read_head, request
from support.serve_process import Serve, serve

pytestmark = pytest.mark.slow
WORDS = "Ben has 12 apples. Then Ben gets 7 more apples. How many apples does Ben have now?"


def long(number: int, tokens: int) -> bytes:
    text = f"{number} [[fault: tokens={tokens} slow=0.05]]"
    return completion(QUESTION | {"messages": [{"role": "user", "content": text}], "stream": True})


async def opened(gateway: Serve, count: int, tokens: int) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    streams = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(count)]
    for number, (_, writer) in enumerate(streams):
        writer.write(long(number, tokens))
    return streams


async def test_told_to_end_it_takes_nothing_new_and_finishes_what_is_open() -> None:
    async with faulty() as (url, app), serve("--backend", url) as gateway:
        idle_reader, idle = await asyncio.open_connection("127.0.0.1", gateway.port)
        idle.write(request("GET", "/ready"))
        assert (await read_answer(idle_reader)).status == 200
        streams = await opened(gateway, 10, tokens=20)
        await until(lambda: app.ledger.active == 10)
        gateway.signal(signal.SIGTERM)
        idle.write(request("GET", "/ready"))
        refused = await read_answer(idle_reader)
        assert (refused.status, refused.error["code"]) == (503, "shutting_down")
        assert (await ask(gateway.port, completion(QUESTION))).status == 503
        answers = await asyncio.gather(*(read_answer(reader) for reader, _ in streams))
        assert all(answer.body.endswith(b"data: [DONE]\n\n") for answer in answers)
        assert await gateway.ended() == 0
        for writer in (idle, *(writer for _, writer in streams)):
            writer.close()


async def test_what_is_not_finished_in_time_is_told_so() -> None:
    async with faulty() as (url, app), serve("--backend", url, "--grace", "0.2") as gateway:
        streams = await opened(gateway, 3, tokens=2000)
        await until(lambda: app.ledger.active == 3)
        began = WallClock().now()
        gateway.signal(signal.SIGTERM)
        for answer in await asyncio.gather(*(read_answer(reader) for reader, _ in streams)):
            assert b'"code":"shutting_down"' in answer.body.splitlines()[-2]
        assert await gateway.ended() == 0
        assert WallClock().now() - began < 0.2 + 3
        await until(lambda: app.ledger.active == 0)
        for _, writer in streams:
            writer.close()


async def test_told_twice_it_ends_at_once() -> None:
    async with faulty() as (url, app), serve("--backend", url) as gateway:
        ((reader, writer),) = await opened(gateway, 1, tokens=2000)
        assert (await read_head(reader))[0] == 200
        gateway.signal(signal.SIGTERM)
        assert (await ask(gateway.port, request("GET", "/ready"))).status == 503
        gateway.signal(signal.SIGTERM)
        await gateway.ended(limit_s=3)
        await until(lambda: app.ledger.active == 0)
        writer.close()


async def test_killed_clients_leave_nothing_behind() -> None:
    async with faulty() as (url, app), serve("--backend", url) as gateway:
        streams = await opened(gateway, 200, tokens=2000)
        await until(lambda: app.ledger.active == 200)
        for _, writer in streams:
            writer.transport.abort()
        async with asyncio.timeout(1):
            await until(lambda: (app.ledger.active, app.ledger.aborted) == (0, 200))


async def test_the_built_in_model_answers_the_real_client() -> None:
    async with serve() as gateway:
        base = f"http://127.0.0.1:{gateway.port}/v1"
        async with openai.AsyncOpenAI(base_url=base, api_key="none", max_retries=0) as client:
            assert [model.id async for model in client.models.list() if "@" not in model.id] == ["builtin"]
            asked = {"model": "builtin", "messages": [{"role": "user", "content": WORDS}], "temperature": 0.0}
            answer = await client.chat.completions.create(**asked)  # type: ignore[call-overload]
            text = answer.choices[0].message.content
            assert text.endswith("The answer is 19")
            assert answer.usage.completion_tokens > 5
            stream = await client.chat.completions.create(**asked, stream=True)  # type: ignore[call-overload]
            pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
            assert "".join(pieces) == text
            assert len(pieces) > 5
            with pytest.raises(openai.APIStatusError):
                await client.completions.create(model="builtin", prompt="x" * 100_000)
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended() == 0
