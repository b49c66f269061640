"""Shares and concurrency of tenants bound what their programs have at the backends, branch by branch."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any, cast

import pytest
from aiohttp import web

from dynasor.allocation.overload import Overload
from dynasor.gateway.reasoning_hosts import Host
from dynasor.gateway.refusals import Refused
from dynasor.gateway.tenants import Tenant
from dynasor.programs.program import Program
from dynasor.request import Completion, Finish, ProgramId, RequestId
from dynasor.runtime.events import BranchLanded, ProgramStarted
from dynasor.runtime.service import Service
from support.gateways import KEY, GatewayHere, Recorder, gateway, serving_at
from support.live_engine import LeapingClock, until
from support.raw_http import Answer, ask, completion

OTHER_KEY = "sk-another-key-for-tests-0123456789-abcdefgh"
PLAIN: dict[str, Any] = {"model": "tiny", "messages": [{"role": "user", "content": "plain"}]}
RUNNING = 4
TOKENS = 256  # what a tenant's requests are taken to have before any is known: so the shares hold from the first on


def program(cap: int, **dynasor: Any) -> dict[str, Any]:
    told = {"algorithm": "sc", "cap": cap, "policy": "even", **dynasor}
    return {"model": "tiny", "messages": [{"role": "user", "content": "program"}], "dynasor": told}


def tenant(name: str, key: str, **settings: object) -> dict[str, object]:
    return {"name": name, "key_hashes": [sha256(key.encode()).hexdigest()], **settings}


class Backend:
    """Answers once it is let, and remembers whom it served, in order, and the most that it had at one time."""

    def __init__(self) -> None:
        self.recorder = Recorder(self._answer)
        self.served: list[str] = []
        self.running = self.most = 0
        self.open = asyncio.Event()

    async def _answer(self, http: web.Request) -> web.StreamResponse:
        body = await http.json()
        self.served.append(body["messages"][0]["content"])
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.open.wait()
        finally:
            self.running -= 1
        choice = {"message": {"content": "the answer is 7"}, "finish_reason": "stop"}
        return web.json_response({"choices": [choice], "usage": {"prompt_tokens": 0, "completion_tokens": TOKENS}})


@pytest.fixture
async def backend() -> AsyncIterator[tuple[str, Backend]]:
    backend = Backend()
    async with serving_at(backend.recorder.app()) as url:
        yield url, backend
        backend.open.set()


def asking(here: GatewayHere, key: str, body: dict[str, Any], **headers: str) -> "asyncio.Task[Answer]":
    return asyncio.ensure_future(ask(here.port, completion(body, authorization=f"Bearer {key}", **headers)))


@pytest.mark.slow
@pytest.mark.parametrize(("share", "expected"), [(1.0, 40), (3.0, 60)])
async def test_programs_of_forty_branches_leave_a_tenant_of_plain_requests_its_share(
    backend: tuple[str, Backend], share: float, expected: int
) -> None:
    url, server = backend
    tenants = [tenant("programs", KEY), tenant("plain", OTHER_KEY, share=share)]
    async with gateway(url, running=RUNNING, tenants=tenants) as here:
        turns = here.serving.admission.turns
        programs = [asking(here, KEY, program(40)) for _ in range(4)]
        await until(lambda: turns.waiting_count == 60)
        plain = [asking(here, OTHER_KEY, PLAIN) for _ in range(100)]
        await until(lambda: turns.waiting_count == 160)
        await until(lambda: server.served == ["program"] * RUNNING)
        server.open.set()
        answers = await asyncio.gather(*programs, *plain)
    assert {answer.status for answer in answers} == {200}
    contested = server.served[RUNNING : RUNNING + 80]  # while both have more to ask
    assert contested.count("plain") == pytest.approx(expected, abs=6)
    tokens = {lane.tenant.name: lane.served_tokens for lane in turns.lanes}
    assert tokens == {"programs": 4 * 40 * TOKENS, "plain": 100 * TOKENS}, "in the end everybody was served"


@pytest.mark.slow
async def test_two_tenants_of_programs_share_by_branches(backend: tuple[str, Backend]) -> None:
    """Though one has many programs and the other a single one."""
    url, server = backend
    tenants = [tenant("many", KEY), tenant("one", OTHER_KEY)]
    single = program(40) | {"messages": [{"role": "user", "content": "single"}]}
    async with gateway(url, running=RUNNING, tenants=tenants) as here:
        turns = here.serving.admission.turns
        asked = [asking(here, KEY, program(40)) for _ in range(4)]
        await until(lambda: turns.waiting_count == 60)
        asked.append(asking(here, OTHER_KEY, single))
        await until(lambda: turns.waiting_count == 100)
        server.open.set()
        assert {answer.status for answer in await asyncio.gather(*asked)} == {200}
    assert server.served[RUNNING : RUNNING + 60].count("single") == pytest.approx(30, abs=5)


async def test_concurrency_bounds_the_branches_of_a_program(backend: tuple[str, Backend]) -> None:
    url, server = backend
    async with gateway(url, tenants=[tenant("team", KEY, concurrency=2)]) as here:
        asked = asking(here, KEY, program(12))
        await until(lambda: server.running == 2)
        server.open.set()
        answer = await asked
    assert answer.json["dynasor"]["branches"] == 12
    assert server.most == 2


async def test_a_program_takes_no_place_beside_its_branches(backend: tuple[str, Backend]) -> None:
    url, server = backend
    server.open.set()
    async with gateway(url, running=1, tenants=[tenant("team", KEY, concurrency=1)]) as here:
        answers = await asyncio.gather(asking(here, KEY, program(3)), asking(here, KEY, PLAIN))
        turns = here.serving.admission.turns
        assert (turns.running_count, turns.waiting_count) == (0, 0)
    assert {answer.status for answer in answers} == {200}
    assert server.most == 1


async def test_who_leaves_gives_up_the_branches_that_wait(backend: tuple[str, Backend]) -> None:
    url, server = backend
    async with gateway(url, running=RUNNING, tenants=[tenant("team", KEY)]) as here:
        turns = here.serving.admission.turns
        _, writer = await here.connect()
        writer.write(completion(program(20), authorization=f"Bearer {KEY}"))
        await until(lambda: (turns.waiting_count, server.running) == (16, RUNNING))
        writer.close()
        await until(lambda: (turns.running_count, turns.waiting_count, server.running) == (0, 0, 0))
    assert len(server.served) == RUNNING


async def test_branches_that_wait_do_not_fill_the_queue_of_requests(backend: tuple[str, Backend]) -> None:
    url, server = backend
    async with gateway(url, running=1, tenants=[tenant("team", KEY, queue=1)]) as here:
        turns = here.serving.admission.turns
        first = asking(here, KEY, program(8))
        await until(lambda: turns.waiting_count == 7)
        waits = asking(here, KEY, PLAIN)
        await until(lambda: turns.waiting_count == 8)
        full = await asking(here, KEY, PLAIN)
        assert (full.status, full.error["code"]) == (429, "overloaded")
        assert full.error["message"].startswith("1 requests of team wait")
        server.open.set()
        assert {answer.status for answer in await asyncio.gather(first, waits)} == {200}


async def test_programs_that_wait_for_their_start_are_a_queue_too(backend: tuple[str, Backend]) -> None:
    url, server = backend
    async with gateway(url, reasoning={"programs": 1}, tenants=[tenant("team", KEY, queue=2)]) as here:
        hosts = here.serving.reasoning.hosts
        asked = [asking(here, KEY, program(1)) for _ in range(3)]
        await until(lambda: sum(service.waiting_count for service in hosts.services) == 2)
        full = await asking(here, KEY, program(1))
        assert (full.status, full.error["code"]) == (429, "overloaded")
        assert int(full.headers["retry-after"]) >= 1
        late = await asking(here, KEY, program(1, deadline_s=0.001, refuse_late=True))
        assert late.status == 429
        server.open.set()
        assert {answer.status for answer in await asyncio.gather(*asked)} == {200}


class Pacing:
    """A service that nobody asks: what it tells of itself is all that counts."""

    def __init__(self) -> None:
        self.waiting_count, self.overload = 0, Overload()


def landed(tokens: int, finish: Finish = Finish.STOP) -> BranchLanded:
    completion = Completion(id=RequestId(ProgramId("p"), 0), tokens=tokens, finish=finish)
    return BranchLanded(cast(Program, None), completion)


def test_who_wants_no_late_answer_is_refused_as_soon_as_it_is_known_how_long_a_branch_takes() -> None:
    service, clock = Pacing(), LeapingClock()
    host = Host(cast(Service, service), (), clock)
    host.admit_in_time(0.001)  # nobody knows yet
    service.overload.pace(100.0, 10.0)
    host.take(landed(50))
    host.take(landed(5000, Finish.CANCELLED))
    host.admit_in_time(5.1)
    with pytest.raises(Refused, match=r"one branch of it takes 5\.0 s from now") as told:
        host.admit_in_time(4.0)
    assert (told.value.status, told.value.code, told.value.retry_after_s) == (429, "deadline_unmeetable", 1.0)


async def test_programs_that_wait_before_it_count_too() -> None:
    service, clock = Pacing(), LeapingClock()
    host = Host(cast(Service, service), (), clock)
    for _ in range(10):
        host.take(ProgramStarted(cast(Program, None)))
        await clock.sleep(2.0)
    service.waiting_count = 3
    host.admit_in_time(6.1)
    with pytest.raises(Refused, match=r"from now"):
        host.admit_in_time(5.9)
    host.admit(Tenant(name="a", queue=4))
    with pytest.raises(Refused, match=r"3 programs of a wait already; come again in 6\.0 s"):
        host.admit(Tenant(name="a", queue=3))
