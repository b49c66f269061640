"""Turns that are given, waited for and given up, in one event loop."""

import asyncio
from itertools import count

import pytest

from dynasor.gateway.admission import Admission
from dynasor.gateway.asked import Asked
from dynasor.gateway.call import Call
from dynasor.gateway.client_programs import ClientPrograms
from dynasor.gateway.exchange import Exchange
from dynasor.gateway.identity import Identity
from dynasor.gateway.refusals import Refused
from dynasor.gateway.tenants import Tenant
from dynasor.gateway.turns import Turns
from dynasor.request import ProgramId
from dynasor.scheduling.specification import make_scheduler
from support.live_engine import LeapingClock, until

NUMBERS = count()


@pytest.fixture
def admission() -> Admission:
    turns = Turns(1, lambda: make_scheduler("attained")[0])
    return Admission(turns, ClientPrograms(turns, 10.0), LeapingClock())


def call(tenant: Tenant | None = None, id: str | None = None, deadline_s: float | None = None) -> Call:
    exchange = Exchange({"type": "http"}, _receive, _send)
    tenant, program = tenant or Tenant(name="a"), ProgramId(f"#{next(NUMBERS)}")
    return Call(exchange, tenant, Asked(), b"", Identity(id), program, "/completions", 0.0, deadline_s)


async def _receive() -> dict[str, object]:
    return {"type": "http.request"}


async def _send(_: object) -> None:
    pass


async def take(admission: Admission, one: Call) -> None:
    async with admission.turn(one):
        pass


async def test_one_waits_for_the_other(admission: Admission) -> None:
    first, second = call(), call()
    async with admission.turn(first):
        waiting = asyncio.ensure_future(take(admission, second))
        await until(lambda: admission.turns.waiting_count == 1)
        assert not waiting.done()
    await waiting
    assert second.started_at == 0.0
    assert admission.turns.running_count == 0


async def test_who_leaves_in_the_instant_in_which_the_turn_comes_gives_it_on(admission: Admission) -> None:
    last = call()
    async with admission.turn(call()):
        leaving = asyncio.ensure_future(take(admission, call(id="p")))
        await until(lambda: admission.turns.waiting_count == 1)
        waiting = asyncio.ensure_future(take(admission, last))
        await until(lambda: admission.turns.waiting_count == 2)
        leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    async with asyncio.timeout(60):
        await waiting
    assert (admission.turns.running_count, admission.turns.waiting_count) == (0, 0)
    program = admission.programs.find(Tenant(name="a"), "p")
    assert program is not None
    assert program.in_flight == 0


async def test_a_failure_gives_the_turn_back(admission: Admission) -> None:
    one = call()
    with pytest.raises(ZeroDivisionError):
        async with admission.turn(one):
            raise ZeroDivisionError
    assert admission.turns.running_count == 0


async def test_a_full_queue_refuses_and_counts(admission: Admission) -> None:
    tenant = Tenant(name="a", queue=1)
    async with admission.turn(call(tenant)):
        waiting = asyncio.ensure_future(take(admission, call(tenant)))
        await until(lambda: admission.turns.waiting_count == 1)
        with pytest.raises(Refused, match="1 requests of a wait already") as told:
            await take(admission, call(tenant))
        assert told.value.retry_after_s is not None
        await take_other(admission, waiting)
    await waiting
    assert admission.refused_count == 1


async def take_other(admission: Admission, waiting: "asyncio.Task[None]") -> None:
    """Another tenant has a queue of its own."""
    other = asyncio.ensure_future(take(admission, call(Tenant(name="b"))))
    await until(lambda: admission.turns.waiting_count == 2)
    other.cancel()
    await asyncio.wait([other])
    assert not waiting.done()


async def test_a_deadline_that_passes_in_the_queue_is_told(admission: Admission) -> None:
    async with admission.turn(call()):
        with pytest.raises(Refused, match=r"cannot begin within 0\.01 s"):
            await take(admission, call(deadline_s=0.01))
    assert admission.turns.waiting_count == 0
