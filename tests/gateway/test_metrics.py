"""What `/metrics` tells after real requests over real sockets, read by Prometheus's own parser."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openai
import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from dynasor.allocation.overload import Overload
from dynasor.clock import WallClock
from dynasor.datasets.problem import Problem
from dynasor.errors import UsageError
from dynasor.gateway.counting import SECONDS, Distribution, Few
from dynasor.gateway.exchange import Exchange
from dynasor.gateway.keys import hash_of
from dynasor.gateway.metrics_door import KEY_VARIABLE, MetricsDoor
from dynasor.gateway.program_counts import Kind, ProgramCounts
from dynasor.gateway.reasoning_settings import ReasoningSettings
from dynasor.gateway.reasoning_wish import Wish
from dynasor.gateway.refusals import Refused
from dynasor.gateway.settings import read_settings
from dynasor.launch.serving import check
from dynasor.programs.program import Program, Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.session import Outcome
from dynasor.runtime.events import ProgramEnded, ProgramStalled
from support.gateways import KEY, QUESTION, GatewayHere, Recorder, faulty, gateway, serving_at
from support.live_engine import until
from support.raw_http import ask, completion, request
from support.speaking import Said, speaking

METRICS_KEY = "sk-metrics-only-and-long-enough-0123456789"
DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana" / "dynasor.json"
DOCS = Path(__file__).parents[2] / "docs" / "gateway-metrics.md"
CHAT = "/v1/chat/completions"


class SetClock(WallClock):
    """Stands at an instant."""

    instant = 0.0

    def now(self) -> float:
        return self.instant


class Figures:
    """The samples of one scrape."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples = [sample for family in self.families.values() for sample in family.samples]

    def __call__(self, name: str, **labels: str) -> float:
        """The sum of the samples of a name with these labels; there must be one."""
        found = [
            sample.value
            for sample in self.samples
            if sample.name == f"dynasor:{name}" and labels.items() <= sample.labels.items()
        ]
        assert found, (name, labels)
        return sum(found)


async def scrape(here: GatewayHere, **headers: str) -> Figures:
    answer = await ask(here.port, request("GET", "/metrics", b"", **headers))
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Figures(answer.body.decode())


@pytest.fixture
async def here() -> AsyncIterator[GatewayHere]:
    async with serving_at(Recorder().app()) as url, gateway(url) as here:
        yield here


async def test_plain_requests_are_counted_with_their_tokens(here: GatewayHere) -> None:
    for _ in range(3):
        assert (await ask(here.port, completion(QUESTION, x_dynasor_deadline_s="30"))).status == 200
    assert (await ask(here.port, completion({"model": 7}))).status == 400
    figures = await scrape(here)
    assert figures("requests_total", route=CHAT, status="200", tenant="everybody", model_name="tiny") == 3
    assert figures("requests_total", route=CHAT, status="400", tenant="", model_name="") == 1
    assert figures("prompt_tokens_total", tenant="everybody", model_name="tiny") == 9
    assert figures("generation_tokens_total", tenant="everybody", model_name="tiny") == 12
    assert figures("tenant_tokens_total", tenant="everybody") == 21
    assert figures("refusals_total", reason="invalid_value") == 1
    assert figures("request_deadlines_total", outcome="met") == 3
    for name in ("e2e_request_latency_seconds", "time_to_first_token_seconds", "request_queue_time_seconds"):
        assert figures(f"{name}_count", route=CHAT) == 3
        assert figures(f"{name}_bucket", route=CHAT, le="+Inf") == 3
    assert 0 < figures("time_to_first_token_seconds_sum") <= figures("e2e_request_latency_seconds_sum")
    assert figures("num_requests_running") == figures("num_requests_waiting") == 0
    assert figures("backend_up") == figures("backend_breaker", state="closed") == 1
    assert figures("backend_answers_total") == 3


async def test_the_scrape_itself_and_pages_that_are_not_there_count(here: GatewayHere) -> None:
    await scrape(here)
    assert (await ask(here.port, request("GET", "/secret-page"))).status == 404
    assert (await ask(here.port, request("DELETE", CHAT))).status == 405
    assert (await ask(here.port, request("GET", "/v1/models/invented"))).status == 404
    figures = await scrape(here)
    assert figures("requests_total", route="/metrics", status="200") == 1
    assert figures("requests_total", route="none", status="404") == 1
    assert figures("requests_total", route="none", status="405") == 1
    assert figures("requests_total", route="/v1/models/NAME", status="404") == 1
    assert figures("refusals_total", reason="not_found") == 1
    assert figures("refusals_total", reason="method_not_allowed") == 1
    assert figures("refusals_total", reason="model_not_found") == 1


async def test_what_a_client_invents_is_no_label(here: GatewayHere) -> None:
    for number in range(50):
        body = QUESTION | {"model": f"invented-{number}", "program_id": f"invented-{number}"}
        assert (await ask(here.port, completion(body, x_request_id=f"invented-{number}"))).status == 200
        await ask(here.port, request("GET", f"/invented-{number}"))
    text = (await ask(here.port, request("GET", "/metrics"))).body.decode()
    assert "invented" not in text
    figures = Figures(text)
    assert figures("requests_total", route=CHAT, model_name="other") == 50
    assert figures("requests_total", route="none") == 50
    assert figures("client_programs_open") == 50
    assert len(figures.samples) < 250


async def test_a_client_that_leaves_is_an_abort_at_the_backend() -> None:
    hangs, came = asyncio.Event(), asyncio.Event()

    async def answer(_: web.Request) -> web.StreamResponse:
        came.set()
        await hangs.wait()
        return web.Response()

    async with serving_at(Recorder(answer).app()) as url, gateway(url, running=1) as here:
        writer = (await here.connect())[1]
        writer.write(completion(QUESTION))
        waits = (await here.connect())[1]
        await came.wait()
        waits.write(completion(QUESTION))
        await until(lambda: here.serving.admission.turns.waiting_count == 1)
        figures = await scrape(here)
        assert figures("num_requests_running", tenant="everybody") == 1
        assert figures("num_requests_waiting", tenant="everybody") == 1
        assert figures("backend_requests_running") == 1
        assert (await ask(here.port, completion(QUESTION, x_dynasor_deadline_s="0.02"))).status == 429
        waits.transport.abort()
        await until(lambda: here.serving.admission.turns.waiting_count == 0)
        writer.transport.abort()
        await until(lambda: not here.serving.gateway.open)
        figures = await scrape(here)
    assert figures("upstream_aborts_total", reason="client_left") == 1  # who only waited was nowhere to be cut
    assert figures("requests_total", route=CHAT, status="499") == 2
    assert figures("refusals_total", reason="deadline_unmeetable") == 1
    assert figures("request_deadlines_total", outcome="missed") == 1
    assert figures("num_requests_running") == 0
    assert "dynasor:e2e_request_latency_seconds_bucket" not in {sample.name for sample in figures.samples}


async def test_a_stream_that_breaks_off_counts_by_its_reason() -> None:
    async with faulty() as (url, _), gateway(url) as here:
        broken = [{"role": "user", "content": "1 + 1? [[fault: disconnect=3]]"}]
        answer = await ask(here.port, completion(QUESTION | {"stream": True, "messages": broken}))
        assert (answer.status, b"[DONE]" in answer.body) == (200, False)
        figures = await scrape(here)
    assert figures("refusals_total", reason="backend_broke_off") == 1
    assert figures("generation_tokens_total", model_name="tiny") >= 3
    assert figures("backend_failures_total") == 1
    assert "dynasor:time_to_first_token_seconds_bucket" not in {sample.name for sample in figures.samples}


async def test_a_lost_request_is_reissued_and_counted() -> None:
    async def gone(http: web.Request) -> web.StreamResponse:
        assert http.transport is not None
        http.transport.abort()
        return web.Response()

    lost_app, sound_app = Recorder(gone).app(), Recorder().app()
    async with serving_at(lost_app) as lost, serving_at(sound_app) as sound, gateway(lost, sound) as here:
        assert (await ask(here.port, completion(QUESTION))).status == 200
        figures = await scrape(here)
    assert figures("reissues_total") == 1
    assert figures("backend_failures_total", backend=f"{lost}/v1") == 1
    assert figures("backend_answers_total", backend=f"{sound}/v1") == 1


async def test_programs_tell_what_they_spent_and_saved() -> None:
    async with speaking(lambda body, number: Said("the answer is 7")) as (url, _), gateway(url) as here:
        async with openai.AsyncOpenAI(base_url=f"{here.url}/v1", api_key="none", max_retries=0) as client:
            asked: list[dict[str, Any]] = [
                {"cap": 16, "policy": "static:threshold=0.9,detect_at=5", "deadline_s": 50},
                {"cap": 3, "policy": "even"},
                {"cap": 1},
            ]
            for body in asked:
                await client.chat.completions.create(
                    model="tiny@sc", messages=[{"role": "user", "content": "6 + 1?"}], extra_body={"dynasor": body}
                )
        figures = await scrape(here)
    kind = {"algorithm": "sc", "policy": "static"}
    assert figures("programs_total", outcome="finished", **kind) == 1
    assert figures("program_tokens_total", **kind) == 5 * 4
    assert figures("tokens_saved_total", **kind) == 11 * 4
    assert figures("tokens_saved_total", algorithm="sc", policy="even") == 0
    assert figures("even_tokens_total", **kind) == 16 * 4
    assert figures("tokens_overspent_total", **kind) == 0
    assert figures("programs_total", outcome="finished", algorithm="sc", policy="default") == 1
    assert figures("certaindex_bucket", le="0.9", **kind) == 0
    assert figures("certaindex_bucket", le="1.0", **kind) == figures("certaindex_count", **kind) == 1
    assert figures("stop_decisions_total", reason="certain") == 1
    assert figures("stop_decisions_total", reason="cap") == 2
    assert figures("program_latency_seconds_count", **kind) == 1
    assert figures("program_deadlines_total", outcome="met") == 1
    assert figures("branches_total", finish="stop") == 9
    assert figures("branch_tokens_total", finish="stop") == 9 * 4
    assert figures("requests_total", route=CHAT, model_name="tiny", status="200") == 3
    assert figures("generation_tokens_total", model_name="tiny") == 9 * 4
    assert figures("programs_running") == figures("programs_waiting") == figures("program_requests") == 0


async def test_a_program_whose_client_left_was_withdrawn() -> None:
    holds = asyncio.Event()

    def say(body: dict[str, Any], number: int) -> Said:
        return Said("the answer is 7", holds=holds)

    async with speaking(say) as (url, server), gateway(url) as here:
        body = QUESTION | {"model": "tiny@sc", "dynasor": {"cap": 4, "policy": "even", "deadline_s": 60}}
        writer = (await here.connect())[1]
        writer.write(completion(body))
        await until(lambda: server.running == 4)
        figures = await scrape(here)
        assert (figures("programs_running"), figures("program_requests")) == (1, 4)
        writer.transport.abort()
        await until(lambda: not here.serving.gateway.open)
        figures = await scrape(here)
    assert figures("programs_total", algorithm="sc", policy="even", outcome="withdrawn") == 1
    assert figures("branches_total", finish="cancelled") == 4
    assert figures("upstream_aborts_total", reason="client_left") == 1
    assert figures("programs_running") == 0
    assert "dynasor:program_deadlines_total" not in {sample.name for sample in figures.samples}


async def test_tenants_are_labels_by_the_names_of_the_file_and_metrics_have_a_key_of_their_own() -> None:
    tenants = [{"name": "team-a", "key_hashes": [hash_of(KEY)], "requests_per_minute": 1, "share": 2.0}]
    environ = {KEY_VARIABLE: METRICS_KEY}
    async with serving_at(Recorder().app()) as url, gateway(url, environ=environ, tenants=tenants) as here:
        mine = {"authorization": f"Bearer {KEY}"}
        assert (await ask(here.port, completion(QUESTION, **mine))).status == 200
        assert (await ask(here.port, completion(QUESTION, **mine))).status == 429
        assert (await ask(here.port, completion(QUESTION, authorization="Bearer nobody"))).status == 401
        for headers in ({}, mine):
            refused = await ask(here.port, request("GET", "/metrics", b"", **headers))
            assert (refused.status, refused.error["code"]) == (401, "invalid_api_key")
        figures = await scrape(here, authorization=f"Bearer {METRICS_KEY}")
    assert figures("requests_total", tenant="team-a", status="200") == 1
    assert figures("requests_total", tenant="team-a", status="429") == 1
    assert figures("requests_total", tenant="", status="401", route=CHAT) == 1
    assert figures("refusals_total", reason="invalid_api_key") == 3
    assert figures("tenant_share", tenant="team-a") == 2


@pytest.mark.parametrize(
    ("client", "headers"),
    [
        ("192.0.2.7", {}),
        ("127.0.0.1", {b"x-forwarded-for": b"192.0.2.7"}),
        ("127.0.0.1", {b"host": b"rebound.example"}),
        ("127.0.0.1", {b"host": b"localhost:8080", b"origin": b"https://elsewhere.example"}),
        ("", {}),
    ],
)
def test_without_a_key_this_machine_alone_may_read(client: str, headers: dict[bytes, bytes]) -> None:
    def exchange(client: str, headers: dict[bytes, bytes]) -> Exchange:
        return SimpleNamespace(client=client, headers={b"host": b"localhost:8080"} | headers)  # type: ignore[return-value]

    door = MetricsDoor("", "0.0.0.0")
    door.admit(exchange("127.0.0.1", {}))
    door.admit(exchange("::1", {}))
    with pytest.raises(Refused) as refused:
        door.admit(exchange(client, headers))
    assert refused.value.status == 403


def test_a_program_that_is_late_or_let_down_has_missed_its_deadline() -> None:
    clock = SetClock()
    counts = ProgramCounts(ReasoningSettings(policy="team/policy.toml"), clock)
    outcome = Outcome("7", 1.0, 1, 10, 0, 0, 0, "cap", 0.0, 3.0)

    def started(id: str, **wished: Any) -> Program:
        program = SelfConsistency(Problem(id, ""), Setup(cap=1))
        session: Any = SimpleNamespace(program=program)
        wish = Wish(model=None, algorithm="sc", **wished)
        question: Any = None
        return counts.sessions(lambda *_: session)(id, wish, question, None, (Overload(), 2.0)).program

    late, lost = started("late"), started("lost", policy=" even ")
    clock.instant = 3.0
    counts.take(ProgramEnded(late, outcome))
    counts.take(ProgramStalled(lost, "the engine is gone"))
    in_time = started("in time")
    counts.take(ProgramEnded(in_time, outcome))
    assert counts.deadlines == {False: 2, True: 1}
    assert counts.ended[Kind("sc", "calibrated")].finished == 2
    assert counts.ended[Kind("sc", "even")].failed == 1
    counts.take(ProgramEnded(SelfConsistency(Problem("unknown", ""), Setup(cap=1)), outcome))
    assert counts.ended[Kind("SelfConsistency", "default")].tokens == 10


def test_a_weak_key_for_metrics_is_refused_before_serving() -> None:
    settings = read_settings(None, {"backends": [{"url": "http://localhost:9"}]})
    with pytest.raises(UsageError, match="32 or more"):
        check(settings, {KEY_VARIABLE: "sk-1234"})
    check(settings, {KEY_VARIABLE: METRICS_KEY})


def test_a_distribution_counts_bounds_as_vllm_does() -> None:
    times = Distribution(SECONDS)
    for value in (0.0, 0.001, 0.0011, 5000.0):
        times.add(value)
    buckets = dict(times.buckets())
    assert (buckets["0.001"], buckets["0.0025"], buckets["2560.0"], buckets["+Inf"]) == (2, 3, 3, 4)
    assert times.sum == pytest.approx(5000.0021)


def test_further_words_are_other() -> None:
    few = Few(2)
    assert [few(word) for word in ("a", "b", "c", "a", "d")] == ["a", "b", "other", "a", "other"]


async def test_dashboard_and_page_name_what_there_is(here: GatewayHere) -> None:
    await ask(here.port, completion(QUESTION))
    text = (await ask(here.port, request("GET", "/metrics"))).body.decode()
    known = set(re.findall(r"^# TYPE dynasor:(\w+) ", text, re.MULTILINE))
    told = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in
            re.findall(r"dynasor:(\w+)", DASHBOARD.read_text())}  # fmt: skip
    assert len(told) > 15
    assert told <= known
    assert {name.partition("{")[0] for name in re.findall(r"`dynasor:(\w+)", DOCS.read_text())} == known
    board = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in board["panels"])
