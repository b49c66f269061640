"""Keys, quotas, fairness and overload, over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256

import openai
import pytest
from aiohttp import web

from dynasor.clock import WallClock
from support.gateways import KEY, QUESTION, GatewayHere, Recorder, gateway, serving_at
from support.live_engine import until
from support.raw_http import Answer, ask, completion, request

OTHER_KEY = "sk-another-key-for-tests-0123456789-abcdefgh"
BEARER = f"Bearer {KEY}"
OTHER = f"Bearer {OTHER_KEY}"


def tenant(name: str, key: str, **settings: object) -> dict[str, object]:
    return {"name": name, "key_hashes": [sha256(key.encode()).hexdigest()], **settings}


class Gate:
    """A backend that answers one request each time it is told to."""

    def __init__(self) -> None:
        self.recorder = Recorder(self.answer)
        self.passes = asyncio.Semaphore(0)
        self.waiting = 0

    async def answer(self, http: web.Request) -> web.StreamResponse:
        self.waiting += 1
        await self.passes.acquire()
        self.waiting -= 1
        return web.json_response({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 90}})

    @property
    def names(self) -> list[str]:
        """The sessions of the requests that came, in order."""
        return [headers.get("x-session-id", "") for _, headers, _ in self.recorder.requests]


@pytest.fixture
async def gate() -> AsyncIterator[tuple[str, Gate]]:
    gate = Gate()
    async with serving_at(gate.recorder.app()) as url:
        yield url, gate
        for _ in range(1000):
            gate.passes.release()


def asking(here: GatewayHere, bearer: str, **headers: str) -> "asyncio.Task[Answer]":
    return asyncio.ensure_future(ask(here.port, completion(QUESTION, authorization=bearer, **headers)))


async def test_without_a_key_nothing_is_told_but_health() -> None:
    recorder = Recorder()
    async with serving_at(recorder.app()) as url, gateway(url, tenants=[tenant("team", KEY)]) as here:
        for method, path in [
            ("POST", "/v1/chat/completions"), ("POST", "/v1/completions"), ("GET", "/v1/models"),
            ("GET", "/v1/models/tiny"), ("GET", "/v1/programs/p"), ("POST", "/v1/programs/p/close"),
        ]:  # fmt: skip
            for host in ("localhost", "x/", "x?", "x#"):
                answer = await ask(here.port, request(method, path, b"{}", host=host, authorization=f"Bearer {KEY}x"))
                assert (answer.status, answer.error["code"]) == (401, "invalid_api_key"), path
        assert (await ask(here.port, request("GET", "/health"))).status == 200
        assert recorder.requests == []
        absolute = request("GET", "http://evil.example/v1/models", authorization="Bearer x")
        assert (await ask(here.port, absolute)).status == 401


async def test_the_real_client_is_told_in_its_own_errors() -> None:
    recorder = Recorder()
    tenants = [tenant("team", KEY, requests_per_minute=1, max_branches=2)]
    async with serving_at(recorder.app()) as url, gateway(url, tenants=tenants) as here:
        base = f"{here.url}/v1"
        async with openai.AsyncOpenAI(base_url=base, api_key="wrong", max_retries=0) as client:
            with pytest.raises(openai.AuthenticationError):
                await client.models.list()
        async with openai.AsyncOpenAI(base_url=base, api_key=KEY, max_retries=0) as client:
            with pytest.raises(openai.BadRequestError, match="team may have 2 at most"):
                await client.completions.create(model="tiny", prompt="x", n=3)
            await client.completions.create(model="tiny", prompt="x", n=2)
            with pytest.raises(openai.RateLimitError, match="requests of this minute") as told:
                await client.completions.create(model="tiny", prompt="x")
            assert 50 <= int(told.value.response.headers["retry-after"]) <= 60
            with pytest.raises(openai.NotFoundError):
                await client.models.retrieve("unheard-of")


async def test_tokens_count_against_the_quota(gate: tuple[str, Gate]) -> None:
    url, backend = gate
    backend.passes.release()
    async with gateway(url, tenants=[tenant("team", KEY, tokens_per_minute=60)]) as here:
        assert (await asking(here, BEARER)).status == 200
        answer = await asking(here, BEARER)
        assert (answer.status, answer.error["code"]) == (429, "rate_limit_exceeded")
        assert 35 <= int(answer.headers["retry-after"]) <= 42


async def test_overload_is_refused_at_once_and_tells_when_to_come(gate: tuple[str, Gate]) -> None:
    url, backend = gate
    async with gateway(url, running=2, tenants=[tenant("team", KEY, queue=3)]) as here:
        accepted = [asking(here, BEARER) for _ in range(5)]
        await until(lambda: here.serving.admission.turns.waiting_count == 3)
        clock = WallClock()
        began = clock.now()
        refused = await asyncio.gather(*(asking(here, BEARER) for _ in range(10)))
        assert clock.now() - began < 1.0
        assert {(answer.status, answer.error["code"]) for answer in refused} == {(429, "overloaded")}
        assert int(refused[0].headers["retry-after"]) >= 1
        assert here.serving.admission.refused_count == 10
        for _ in accepted:
            backend.passes.release()
        assert {answer.status for answer in await asyncio.gather(*accepted)} == {200}, "what was accepted is answered"


async def test_a_noisy_tenant_does_not_shut_out_a_quiet_one(gate: tuple[str, Gate]) -> None:
    url, backend = gate
    tenants = [tenant("noisy", KEY, queue=20), tenant("quiet", OTHER_KEY)]
    async with gateway(url, running=1, tenants=tenants) as here:
        noisy = [asking(here, BEARER, x_session_id=f"n{number}") for number in range(10)]
        await until(lambda: here.serving.admission.turns.waiting_count == 9)
        quiet = asking(here, OTHER, x_session_id="q")
        await until(lambda: here.serving.admission.turns.waiting_count == 10)
        for _ in range(11):
            backend.passes.release()
        assert {answer.status for answer in await asyncio.gather(quiet, *noisy)} == {200}
    assert backend.names.index("q") <= 4, "it waits for a few while what requests take is not known yet"


async def test_programs_of_a_tenant_are_served_one_after_the_other(gate: tuple[str, Gate]) -> None:
    url, backend = gate
    async with gateway(url, running=1, tenants=[tenant("team", KEY)]) as here:
        first = asking(here, BEARER, x_session_id="a")
        await until(lambda: backend.waiting == 1)
        others = []
        for number, name in enumerate(["b", "c", "b", "c", "a"]):
            others.append(asking(here, BEARER, x_session_id=name))
            await until(lambda count=number + 1: here.serving.admission.turns.waiting_count == count)  # type: ignore[misc]
        for _ in range(6):
            backend.passes.release()
        await asyncio.gather(first, *others)
    assert backend.names == ["a", "a", "b", "b", "c", "c"], "what is equally far is not served in turns"


async def test_who_leaves_the_queue_takes_no_turn(gate: tuple[str, Gate]) -> None:
    url, backend = gate
    async with gateway(url, running=1, tenants=[tenant("team", KEY)]) as here:
        first = asking(here, BEARER)
        await until(lambda: backend.waiting == 1)
        _, writer = await here.connect()
        writer.write(completion(QUESTION, authorization=BEARER, x_session_id="left"))
        await until(lambda: here.serving.admission.turns.waiting_count == 1)
        last = asking(here, BEARER)
        await until(lambda: here.serving.admission.turns.waiting_count == 2)
        writer.close()
        await until(lambda: here.serving.admission.turns.waiting_count == 1)
        for _ in range(2):
            backend.passes.release()
        assert [(await task).status for task in (first, last)] == [200, 200]
        assert "left" not in backend.names
        assert here.serving.admission.programs.find(here.serving.settings.tenants[0], "left") is not None


async def test_a_deadline_that_cannot_be_met_is_refused(gate: tuple[str, Gate]) -> None:
    url, backend = gate
    async with gateway(url, running=1, tenants=[tenant("team", KEY)]) as here:
        first = asking(here, BEARER)
        await until(lambda: backend.waiting == 1)
        late = await asking(here, BEARER, x_dynasor_deadline_s="0.02")
        assert (late.status, late.error["code"]) == (429, "deadline_unmeetable")
        assert here.serving.admission.turns.waiting_count == 0
        wrong = await asking(here, BEARER, x_dynasor_deadline_s="soon")
        assert (wrong.status, wrong.error["code"]) == (400, "invalid_value")
        waits = asking(here, BEARER)
        await until(lambda: here.serving.admission.turns.waiting_count == 1)
        at_once = await asking(here, BEARER, x_dynasor_deadline_s="0.000001")
        assert at_once.error["code"] == "deadline_unmeetable"
        for _ in range(2):
            backend.passes.release()
        assert [(await task).status for task in (first, waits)] == [200, 200]


async def test_a_program_is_told_of_and_closed(gate: tuple[str, Gate]) -> None:
    url, backend = gate
    for _ in range(4):
        backend.passes.release()
    tenants = [tenant("team", KEY), tenant("other", OTHER_KEY)]
    async with gateway(url, tenants=tenants) as here:
        for _ in range(2):
            await asking(here, BEARER, x_session_id="p")
        path = "/v1/programs/p"
        told = (await ask(here.port, request("GET", path, authorization=BEARER))).json
        assert told == {
            "id": "p", "object": "program", "status": "open", "in_flight": 0, "requests": 2, "tokens": 200,
        }  # fmt: skip
        assert (await ask(here.port, request("POST", f"{path}/close", authorization=OTHER))).status == 404
        closed = await ask(here.port, request("POST", f"{path}/close", authorization=BEARER))
        assert closed.json["status"] == "closed"
        assert (await ask(here.port, request("GET", path, authorization=BEARER))).status == 404
        await asking(here, BEARER, x_session_id="q", x_dynamo_session_final="true")
        assert (await ask(here.port, request("GET", "/v1/programs/q", authorization=BEARER))).status == 404
        await asking(here, BEARER, x_dynamo_session_id="r")
    assert backend.names == ["p", "p", "q", "team:r"]


@pytest.mark.slow
async def test_a_program_that_is_silent_for_too_long_is_closed(gate: tuple[str, Gate]) -> None:
    url, backend = gate
    backend.passes.release()
    async with gateway(url, program_idle_s=0.1, tenants=[tenant("team", KEY)]) as here:
        await asking(here, BEARER, x_session_id="p")
        assert (await ask(here.port, request("GET", "/v1/programs/p", authorization=BEARER))).status == 200
        await until(lambda: len(here.serving.admission.programs) == 0)
