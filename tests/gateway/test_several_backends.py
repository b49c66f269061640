"""Calls over several backends: where they go, and what happens to those that one of them loses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from aiohttp import web

from dynasor.clock import WallClock
from dynasor.engines.endpoint import Timeouts
from dynasor.gateway.backends import Backends
from dynasor.gateway.upstream import Upstream
from support.gateways import QUESTION, GatewayHere, Recorder, gateway, serving_at
from support.live_engine import LeapingClock, until
from support.raw_http import ask, completion, read_head, request

DOWN = "http://127.0.0.1:9/v1"


async def hang_up(http: web.Request) -> web.StreamResponse:
    assert http.transport is not None
    http.transport.abort()
    await asyncio.Event().wait()
    raise AssertionError


async def unavailable(http: web.Request) -> web.StreamResponse:
    return web.json_response({"error": {"message": "full"}}, status=503, headers={"Retry-After": "9"})


@pytest.fixture
async def pair() -> AsyncIterator[tuple[GatewayHere, Recorder, Recorder]]:
    first, second = Recorder(), Recorder()
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(serving_at(recorder.app())) for recorder in (first, second)]
        yield await stack.enter_async_context(gateway(*urls)), first, second


async def test_a_program_stays_where_its_prefix_is(pair: tuple[GatewayHere, Recorder, Recorder]) -> None:
    here, *recorders = pair
    for _ in range(3):
        for name in ("a", "b", "c"):
            await ask(here.port, completion(QUESTION | {"program_id": name}))
    bodies = [[body for _, _, body in recorder.requests] for recorder in recorders]
    for program in (b'"a"', b'"b"', b'"c"'):
        assert sorted(sum(program in body for body in one) for one in bodies) == [0, 3]


@pytest.mark.parametrize("fault", [hang_up, unavailable])
async def test_what_one_loses_another_answers(pair: tuple[GatewayHere, Recorder, Recorder], fault: object) -> None:
    here, first, second = pair
    first.answer = fault  # type: ignore[assignment]
    for _ in range(4):
        assert (await ask(here.port, completion(QUESTION))).status == 200
    assert len(first.requests) >= 1
    assert len(second.requests) == 4
    assert here.serving.backends.in_flight == 0


async def test_what_all_refuse_is_passed_on_as_the_last_said(pair: tuple[GatewayHere, Recorder, Recorder]) -> None:
    here, first, second = pair
    first.answer = second.answer = unavailable
    answer = await ask(here.port, completion(QUESTION))
    assert (answer.status, answer.headers["retry-after"]) == (503, "9")
    assert len(first.requests) + len(second.requests) == 2


async def test_a_refusal_for_what_a_request_is_goes_nowhere_else(
    pair: tuple[GatewayHere, Recorder, Recorder],
) -> None:
    here, first, second = pair

    async def refused(http: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": "no"}}, status=int(http.headers["x-session-id"]))

    first.answer = second.answer = refused
    for status in ("400", "429", "500"):
        assert (await ask(here.port, completion(QUESTION, x_session_id=status))).status == int(status)
    assert len(first.requests) + len(second.requests) == 3


async def test_after_the_first_byte_nothing_is_asked_again(pair: tuple[GatewayHere, Recorder, Recorder]) -> None:
    here, first, second = pair

    async def breaks(http: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(http)
        await response.write(b'data: {"choices": []}\n\ndata: {"cho')
        await response.write(b"")
        assert http.transport is not None
        http.transport.close()
        return response

    first.answer = second.answer = breaks
    answer = await ask(here.port, completion(QUESTION | {"stream": True}))
    assert answer.body.startswith(b'data: {"choices": []}\n\ndata: {"error":')
    assert answer.body.endswith(b"}}\n\n")
    assert len(first.requests) + len(second.requests) == 1


@pytest.mark.parametrize("told", [b"", b'data: {"choi'])
async def test_a_stream_of_which_no_event_has_come_is_asked_of_another(
    pair: tuple[GatewayHere, Recorder, Recorder], told: bytes
) -> None:
    here, *recorders = pair

    async def breaks(http: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(http)
        await response.write(told)
        assert http.transport is not None
        http.transport.close()
        await asyncio.Event().wait()
        raise AssertionError

    async def answers(http: web.Request) -> web.StreamResponse:
        return web.Response(body=b'data: {"choices": []}\n\ndata: [DONE]\n\n', content_type="text/event-stream")

    recorders[0].answer, recorders[1].answer = breaks, answers
    for number in range(4):
        answer = await ask(here.port, completion(QUESTION | {"stream": True, "program_id": str(number)}))
        assert answer.status == 200
        assert answer.body == b'data: {"choices": []}\n\ndata: [DONE]\n\n'
    assert recorders[0].requests
    assert len(recorders[1].requests) == 4


async def test_a_connection_that_closes_as_it_is_used_costs_nothing() -> None:
    recorder = Recorder()
    hung_up = 0

    async def once(http: web.Request) -> web.StreamResponse:
        nonlocal hung_up
        hung_up += 1
        return await hang_up(http) if hung_up == 1 else web.json_response({"choices": []})

    recorder.answer = once
    async with serving_at(recorder.app()) as url, gateway(url) as here:
        assert (await ask(here.port, completion(QUESTION))).status == 200
        recorder.answer = hang_up
        assert (await ask(here.port, completion(QUESTION))).error["code"] == "backend_broke_off"
    assert len(recorder.requests) == 4, "each was sent twice, and no more"


@pytest.mark.parametrize("dead", [0, 1])
async def test_a_connection_that_closes_as_it_is_used_costs_nothing_beside_one_that_is_lost(
    pair: tuple[GatewayHere, Recorder, Recorder], dead: int
) -> None:
    here, *recorders = pair
    lost, works = recorders[dead], recorders[1 - dead]
    hung_up = 0

    async def once(http: web.Request) -> web.StreamResponse:
        nonlocal hung_up
        hung_up += 1
        return await hang_up(http) if hung_up == 1 else web.json_response({"choices": []})

    lost.answer, works.answer = hang_up, once
    for _ in range(3):
        here.serving.backends.all[dead].blame("it is about to be lost", 0.0)
    assert (await ask(here.port, completion(QUESTION))).status == 200
    assert (len(lost.requests), len(works.requests)) == (1, 2)


async def test_one_that_is_down_is_left_alone_until_it_comes_back() -> None:
    recorder, ending = Recorder(), AsyncExitStack()
    lost = await ending.enter_async_context(serving_at(Recorder().app()))
    async with serving_at(recorder.app()) as url, gateway(lost, url) as here:
        await ending.aclose()
        for number in range(8):
            assert (await ask(here.port, completion(QUESTION | {"program_id": str(number)}))).status == 200
        down = here.serving.backends.all[0]
        assert not down.breaker.admits
        assert down.fault is not None
        assert "cannot be reached" in down.fault
        assert (await ask(here.port, request("GET", "/ready"))).status == 200
        failures = down.failure_count
        await ask(here.port, completion(QUESTION | {"program_id": "later"}))
        assert down.failure_count == failures


async def test_a_model_is_asked_where_it_is() -> None:
    first, second = Recorder(), Recorder()

    async def other_models(_: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "large", "object": "model"}]})

    app = web.Application()
    app.router.add_get("/v1/models", other_models)
    app.router.add_post("/{path:.*}", second._take)
    async with serving_at(first.app()) as a, serving_at(app) as b, gateway(a, b) as here:
        for model in ("large", "tiny", "large"):
            await ask(here.port, completion(QUESTION | {"model": model}))
        listed = (await ask(here.port, request("GET", "/v1/models"))).json["data"]
    assert [b'"large"' in body for _, _, body in second.requests] == [True, True]
    assert [b'"tiny"' in body for _, _, body in first.requests] == [True]
    assert {model["id"] for model in listed if "@" not in model["id"]} == {"tiny", "large"}


async def test_during_an_outage_little_is_sent_twice(pair: tuple[GatewayHere, Recorder, Recorder]) -> None:
    here, first, second = pair

    async def refuses_after_all_have_come(http: web.Request) -> web.StreamResponse:
        if len(first.requests) + len(second.requests) < 60:
            await until(lambda: len(first.requests) + len(second.requests) >= 60)
        return await unavailable(http)

    first.answer = second.answer = refuses_after_all_have_come
    await asyncio.gather(*(ask(here.port, completion(QUESTION)) for _ in range(60)))
    assert len(first.requests) + len(second.requests) <= 60 + 20


async def test_a_client_that_leaves_blames_nobody(pair: tuple[GatewayHere, Recorder, Recorder]) -> None:
    here, first, second = pair

    async def streams(http: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(http)
        await response.write(b"data: {}\n\n")
        await asyncio.Event().wait()
        return response

    first.answer = second.answer = streams
    for _ in range(6):
        reader, writer = await here.connect()
        writer.write(completion(QUESTION | {"stream": True}))
        await read_head(reader)
        writer.close()
    await until(lambda: not here.serving.gateway.open)
    assert [backend.failure_count for backend in here.serving.backends.all] == [0, 0]


async def test_health_is_asked_now_and_then() -> None:
    recorder = Recorder()
    async with serving_at(recorder.app()) as url:
        clock = LeapingClock()
        backends = Backends(
            [(url, Upstream(f"{url}/v1", "", Timeouts())), (DOWN, Upstream(DOWN, "", Timeouts()))], clock
        )
        assert not backends.is_ready
        watching = asyncio.ensure_future(backends.watch())
        await until(lambda: not backends.all[1].breaker.admits and backends.is_ready)
        watching.cancel()
        await asyncio.wait([watching])
        await backends.close()
        assert set(clock.waits) == {2.0}
        assert list(backends.models()) == ["tiny"]


async def test_what_a_lost_backend_had_waits_for_the_budget_and_is_answered_all(
    pair: tuple[GatewayHere, Recorder, Recorder],
) -> None:
    """Though all are lost at once, few are sent again at one time; one whose client has left is not."""
    here, first, second = pair
    gone, most, now = asyncio.Event(), 0, 0

    async def goes(http: web.Request) -> web.StreamResponse:
        await gone.wait()
        return await hang_up(http)

    async def takes_a_while(_: web.Request) -> web.StreamResponse:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await WallClock().sleep(0.002)
        now -= 1
        return web.json_response({"choices": []})

    first.answer, second.answer = goes, takes_a_while
    healthy = here.serving.backends.all[1]
    models, healthy.models = healthy.models, {}  # so that all go to the one that will be lost
    asked = [asyncio.ensure_future(ask(here.port, completion(QUESTION))) for _ in range(20)]
    await until(lambda: len(first.requests) == 20)
    healthy.models = models
    gone.set()
    await until(lambda: len(second.requests) > 0)
    asked[-1].cancel()
    answers = await asyncio.gather(*asked[:-1])
    assert {answer.status for answer in answers} == {200}
    assert 1 <= most <= 3
    await until(lambda: here.serving.backends.in_flight == 0)
