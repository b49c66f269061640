"""Traces, as a collector of OpenTelemetry's gets them over a socket."""

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from hashlib import sha256
from typing import Any

import pytest
from aiohttp import web

from dynasor.clock import WallClock
from dynasor.errors import MissingExtra
from dynasor.gateway.settings import GatewaySettings
from dynasor.gateway.span_attributes import of_branch
from dynasor.launch.tracing import make_tracing
from dynasor.request import ProgramId, Request, RequestId, Sampling
from support.gateways import KEY, Recorder, gateway, serving_at
from support.live_engine import until
from support.otlp import Collector, attributes, collecting
from support.raw_http import Answer, ask, completion, request

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TOLD = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}
SECRET = "what-nobody-else-should-read"
PLAIN: dict[str, Any] = {"model": "tiny", "max_tokens": 9, "messages": [{"role": "user", "content": SECRET}]}
REASONED = {**PLAIN, "model": "tiny@sc:cap=5", "dynasor": {"policy": "even"}, "seed": 3}
ROUTE = "POST /v1/chat/completions"


async def says(http: web.Request) -> web.StreamResponse:
    choice = {"message": {"content": f"{SECRET}, the answer is 7"}, "finish_reason": "stop"}
    return web.json_response({"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 4}})


def first_fails(status: int) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A backend that loses its first request."""
    asked: list[None] = []

    async def answer(http: web.Request) -> web.StreamResponse:
        asked.append(None)
        return web.json_response({"error": {"message": SECRET}}, status=status) if len(asked) == 1 else await says(http)

    return answer


async def traced(
    body: dict[str, Any], recorder: Recorder, headers: dict[str, str] | None = None, **settings: Any
) -> tuple[Answer, Collector]:
    """The answer to one request, and what the collector got."""
    async with collecting() as (to, collector), serving_at(recorder.app()) as url:
        async with gateway(url, traces=to, **settings) as here:
            answer = await ask(here.port, completion(body, **(headers or {})))
        return answer, collector


def ids(collector: Collector) -> set[str]:
    return {span.trace_id.hex() for span in collector.spans}


async def test_a_request_is_a_span_of_its_clients_trace_and_the_backend_goes_on_with_it() -> None:
    recorder = Recorder(says)
    answer, collector = await traced(PLAIN, recorder, {**TOLD, "x-session-id": "agent-7"})
    assert answer.status == 200
    server, client = collector.one(ROUTE), collector.one("chat tiny")
    assert ids(collector) == {TRACE}
    assert server.parent_span_id.hex() == PARENT
    assert client.parent_span_id == server.span_id
    assert (server.kind, client.kind) == (server.SPAN_KIND_SERVER, client.SPAN_KIND_CLIENT)
    told = recorder.requests[0][1]
    assert told["traceparent"] == f"00-{TRACE}-{client.span_id.hex()}-01"
    assert told["tracestate"] == "vendor=1"
    assert server.start_time_unix_nano <= client.start_time_unix_nano <= client.end_time_unix_nano
    assert client.end_time_unix_nano <= server.end_time_unix_nano
    assert attributes(server.attributes) == {
        "http.request.method": "POST", "http.route": "/v1/chat/completions", "url.path": "/v1/chat/completions",
        "url.scheme": "http", "http.response.status_code": 200, "dynasor.tenant": "everybody",
        "gen_ai.conversation.id": "agent-7",
    }  # fmt: skip
    said = attributes(client.attributes)
    port = said.pop("server.port")
    assert port > 0
    assert said == {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "tiny",
        "gen_ai.request.stream": False, "gen_ai.request.max_tokens": 9, "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 4, "gen_ai.conversation.id": "agent-7", "server.address": "127.0.0.1",
    }  # fmt: skip
    assert collector.resource["service.name"]


async def test_a_program_is_a_workflow_and_each_branch_an_inference_of_it() -> None:
    recorder = Recorder(says)
    answer, collector = await traced(REASONED, recorder, TOLD)
    assert answer.status == 200
    server, program = collector.one(ROUTE), collector.one("invoke_workflow sc")
    branches = collector.named("chat tiny")
    assert ids(collector) == {TRACE}
    assert program.parent_span_id == server.span_id
    assert len(branches) == 5
    assert {branch.parent_span_id for branch in branches} == {program.span_id}
    assert {f"00-{TRACE}-{branch.span_id.hex()}-01" for branch in branches} == {
        headers["traceparent"] for _, headers, _ in recorder.requests
    }
    said = attributes(program.attributes)
    assert answer.json["id"] == f"chatcmpl-{said.pop('dynasor.program')}"
    assert said == {
        "gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "sc", "gen_ai.request.model": "tiny",
        "gen_ai.usage.output_tokens": 20, "dynasor.cap": 5, "dynasor.knob": 5, "dynasor.certaindex": 1.0,
        "dynasor.stopped_by": "cap", "dynasor.answered": True, "dynasor.cut": 0, "dynasor.failed": 0,
        "dynasor.cut_tokens": 0, "dynasor.saved_tokens": 0,
    }  # fmt: skip
    assert [event.name for event in program.events] == ["dynasor.program_started"]
    first = attributes(branches[0].attributes)
    assert first["gen_ai.response.finish_reasons"] == ["stop"]
    assert (first["gen_ai.usage.input_tokens"], first["gen_ai.usage.output_tokens"]) == (3, 4)
    assert first["dynasor.kind"] == "branch"
    assert sorted(attributes(branch.attributes)["dynasor.request"] for branch in branches) == [0, 1, 2, 3, 4]
    assert server.start_time_unix_nano <= program.start_time_unix_nano <= branches[0].start_time_unix_nano
    assert max(branch.end_time_unix_nano for branch in branches) <= program.end_time_unix_nano


async def test_no_span_holds_a_prompt_an_answer_or_a_key() -> None:
    tenants = [{"name": "team", "key_hashes": [sha256(KEY.encode()).hexdigest()]}]
    for body in (PLAIN, REASONED):
        answer, collector = await traced(body, Recorder(says), {"authorization": f"Bearer {KEY}"}, tenants=tenants)
        assert SECRET.encode() in answer.body
        whole = b"".join(collector.bodies)
        assert b"team" in whole
        assert not any(word.encode() in whole for word in (SECRET, KEY, "answer is"))


@pytest.mark.slow
async def test_attempts_that_a_backend_lost_are_events() -> None:
    """One branch is sent again to the same backend, after a wait."""
    answer, collector = await traced(REASONED, Recorder(first_fails(503)))
    assert answer.status == 200
    branches = collector.named("chat tiny")
    (lost,) = [event for branch in branches for event in branch.events]
    assert lost.name == "dynasor.attempt_lost"
    told = attributes(lost.attributes)
    assert (told["error.type"], told["server.address"]) == ("503", "127.0.0.1")
    assert {branch.status.code for branch in branches} == {0}, "it was answered in the end"
    assert SECRET.encode() not in b"".join(collector.bodies), "not what the backend said of it either"


async def test_a_request_that_is_sent_to_another_backend_tells_so() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        gone = f"http://127.0.0.1:{free.getsockname()[1]}"
    recorder = Recorder(says)
    async with (
        collecting() as (to, collector),
        serving_at(recorder.app()) as url,
        gateway(gone, url, traces=to) as here,
    ):
        for backend in here.serving.backends.all:  # as if the other was there a moment ago
            backend.models, backend.healthy = here.serving.backends.all[1].models, True
        answers = [await ask(here.port, completion(PLAIN)) for _ in range(2)]
    assert {answer.status for answer in answers} == {200}
    events = [event for span in collector.named("chat tiny") for event in span.events]
    assert {attributes(event.attributes)["error.type"] for event in events} == {"backend_down"}


@pytest.mark.slow
async def test_a_branch_that_is_sent_to_another_backend_tells_who_lost_it() -> None:
    async def hangs_up(http: web.Request) -> web.StreamResponse:
        assert http.transport is not None
        http.transport.close()
        await asyncio.Event().wait()
        raise AssertionError

    async with AsyncExitStack() as stack:
        to, collector = await stack.enter_async_context(collecting())
        urls = [await stack.enter_async_context(serving_at(Recorder(each).app())) for each in (hangs_up, says)]
        here = await stack.enter_async_context(gateway(*urls, traces=to))
        answers = [await ask(here.port, completion(REASONED)) for _ in range(2)]  # one of them begins at the first
    assert {answer.status for answer in answers} == {200}
    branches = [span for span in collector.named("chat tiny") if span.events]
    assert branches
    for branch in branches:
        lost = [attributes(event.attributes) for event in branch.events]
        assert {(each["error.type"], each["server.port"]) for each in lost} == {
            ("backend_broke_off", int(urls[0].rpartition(":")[2]))
        }
        assert attributes(branch.attributes)["server.port"] == int(urls[1].rpartition(":")[2])


async def test_who_is_refused_leaves_a_span_without_an_error() -> None:
    tenants = [{"name": "team", "key_hashes": [sha256(KEY.encode()).hexdigest()]}]
    answer, collector = await traced(PLAIN, Recorder(says), TOLD, tenants=tenants)
    assert answer.status == 401
    (span,) = collector.spans
    told = attributes(span.attributes)
    assert (told["http.response.status_code"], told["dynasor.reason"]) == (401, "invalid_api_key")
    assert (span.parent_span_id.hex(), span.status.code) == (PARENT, 0)


async def test_a_backend_that_fails_is_an_error_of_its_span_and_of_the_request() -> None:
    async def fails(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": SECRET}}, status=500)

    answer, collector = await traced(PLAIN, Recorder(fails))
    assert answer.status == 500
    assert {(span.name, span.status.code) for span in collector.spans} == {(ROUTE, 2), ("chat tiny", 2)}
    assert {attributes(span.attributes)["error.type"] for span in collector.spans} == {"500"}


async def test_a_client_that_leaves_ends_its_program_and_all_spans() -> None:
    async def waits(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    recorder = Recorder(waits)
    async with collecting() as (to, collector), serving_at(recorder.app()) as url, gateway(url, traces=to) as here:
        _, writer = await here.connect()
        writer.write(completion(REASONED))
        await until(lambda: len(recorder.requests) == 5)
        writer.close()
        await until(lambda: not here.serving.gateway.open)
    assert attributes(collector.one("invoke_workflow sc").attributes)["error.type"] == "client_left"
    assert attributes(collector.one(ROUTE).attributes)["error.type"] == "client_left"
    branches = collector.named("chat tiny")
    assert len(branches) == 5
    assert {attributes(branch.attributes)["gen_ai.response.finish_reasons"][0] for branch in branches} == {"cancelled"}


async def test_what_the_client_does_not_sample_is_not_sent_and_the_backend_is_told_so() -> None:
    recorder = Recorder(says)
    _, collector = await traced(PLAIN, recorder, {"traceparent": f"00-{TRACE}-{PARENT}-00"})
    assert collector.spans == []
    told = recorder.requests[0][1]["traceparent"]
    assert told.startswith(f"00-{TRACE}-")
    assert told.endswith("-00")


async def test_other_routes_are_not_traced_and_a_broken_header_begins_a_new_trace() -> None:
    async with (
        collecting() as (to, collector),
        serving_at(Recorder(says).app()) as url,
        gateway(url, traces=to) as here,
    ):
        assert (await ask(here.port, request("GET", "/health", b"", **TOLD))).status == 200
        await ask(here.port, completion(PLAIN, traceparent=f"00-{'0' * 32}-{PARENT}-01"))
        await ask(here.port, completion(PLAIN, traceparent="garbage"))
    assert len(collector.spans) == 4
    assert len(ids(collector)) == 2
    assert all(not span.parent_span_id for span in collector.named(ROUTE))


async def test_without_traces_the_clients_own_is_passed_on_as_it_is() -> None:
    recorder = Recorder(says)
    async with serving_at(recorder.app()) as url, gateway(url) as here:
        await ask(here.port, completion(PLAIN, **TOLD))
        await ask(here.port, completion(PLAIN, traceparent="garbage", tracestate="vendor=1"))
    first, second = (headers for _, headers, _ in recorder.requests)
    assert {name: first[name] for name in TOLD} == TOLD
    assert second.keys().isdisjoint(TOLD)


@pytest.mark.slow
async def test_a_collector_that_is_gone_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:  # it accepts, and says nothing
        to, clock = f"http://127.0.0.1:{silent.getsockname()[1]}", WallClock()
        async with serving_at(Recorder(says).app()) as url:
            async with gateway(url, traces=to) as here:
                answers = [await ask(here.port, completion(PLAIN)) for _ in range(40)]
                ending = clock.now()
            took_s = clock.now() - ending
    assert {answer.status for answer in answers} == {200}
    assert took_s < 8.0, "two seconds are what it waits for at the end"


def test_without_the_extra_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "dynasor.gateway.spans", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(MissingExtra, match=r"dynasor-serve\[tracing\]"):
        make_tracing(GatewaySettings(traces="http://localhost:4318"), {}, WallClock())


def test_a_probe_is_told_apart() -> None:
    asked = Request(RequestId(ProgramId("p"), 4), "x", Sampling(max_tokens=7), seed=5, optional=True)
    told = of_branch(asked, "chat", "tiny", "https://host/v1")
    assert told["dynasor.kind"] == "probe"
    assert (told["server.address"], told["server.port"], told["gen_ai.request.seed"]) == ("host", 443, 5)
