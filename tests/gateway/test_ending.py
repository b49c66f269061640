"""How a gateway ends, and how faults of ours are told, without a process of its own."""

import asyncio
import gc
from collections import Counter

import pytest

from dynasor.errors import DynasorError, EngineError, UsageError
from dynasor.gateway.call import Call
from dynasor.gateway.draining import shutting_down
from dynasor.gateway.exchange import Exchange
from dynasor.gateway.listening import GuardedProtocol
from dynasor.gateway.refusals import Refused, refusal_of
from support.gateways import QUESTION, faulty, gateway
from support.live_engine import until
from support.raw_http import ask, completion, read_answer, request

HANGS = QUESTION | {"messages": [{"role": "user", "content": "[[fault: hang=2]]"}]}


async def test_what_is_stopped_is_told_why_and_frees_the_backend() -> None:
    async with faulty() as (url, app), gateway(url) as here:
        (stream, writer), (whole, other) = await here.connect(), await here.connect()
        writer.write(completion(HANGS | {"stream": True}))
        other.write(completion(HANGS))
        await until(lambda: app.ledger.active == 2)
        here.serving.gateway.stop(shutting_down("now"))
        answers = await asyncio.gather(read_answer(stream), read_answer(whole))
        assert b'"code":"shutting_down"' in answers[0].body.splitlines()[-2]
        assert (answers[1].status, answers[1].error["code"]) == (503, "shutting_down")
        async with asyncio.timeout(1):
            await until(lambda: app.ledger.active == 0)
        assert here.serving.admission.turns.running_count == 0


async def test_once_it_is_to_end_it_takes_nothing_new() -> None:
    async with faulty() as (url, app), gateway(url) as here:
        here.serving.draining.begin()
        for sent in (request("GET", "/ready"), completion(QUESTION)):
            answer = await ask(here.port, sent)
            assert (answer.status, answer.error["code"], answer.headers["retry-after"]) == (503, "shutting_down", "1")
        assert (await ask(here.port, request("GET", "/health"))).status == 200
        assert app.ledger.received == []


@pytest.mark.parametrize(
    ("fault", "status", "headers"),
    [
        (UsageError("x"), 400, [(b"x-should-retry", b"false")]),
        (EngineError("x", retryable=False), 502, []),
        (
            EngineError("x", retryable=True, retry_after_s=1.2),
            503,
            [(b"retry-after", b"2"), (b"retry-after-ms", b"1200")],
        ),
        (DynasorError("x"), 500, []),
    ],
)
def test_faults_of_ours_become_refusals(fault: DynasorError, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    refused = refusal_of(fault)
    assert (refused.status, refused.told, refused.headers()) == (status, "x", headers)


def test_openai_s_words_for_errors() -> None:
    kinds = {status: Refused(status, "x").kind for status in (400, 401, 403, 404, 413, 429, 500, 503)}
    assert kinds == {
        400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
        413: "invalid_request_error", 429: "rate_limit_error", 500: "server_error", 503: "server_error",
    }  # fmt: skip


def kept() -> Counter[type]:
    """What there is of a gateway's exchanges, by type."""
    return Counter(type(one) for one in gc.get_objects() if isinstance(one, (Call, Exchange, GuardedProtocol)))


async def test_what_has_ended_is_gone_without_the_garbage_collector() -> None:
    """After a burst that lasts, the collector comes by so rarely that memory grows with every one."""
    async with faulty() as (url, app), gateway(url) as here:
        await ask(here.port, completion(QUESTION))
        gc.collect()
        gc.disable()
        before = kept()  # of other tests, in cycles that are frozen
        try:
            for body in (QUESTION, QUESTION | {"n": -1}, QUESTION | {"stream": True}):
                await ask(here.port, completion(body))
            _, writer = await here.connect()
            writer.write(completion(HANGS | {"stream": True}))
            await until(lambda: app.ledger.active == 1)
            writer.transport.abort()
            await until(lambda: not (app.ledger.active or here.serving.gateway.open))
            left = kept() - before
        finally:
            gc.enable()
    assert left == Counter()
