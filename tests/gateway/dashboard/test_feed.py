"""The feed to a viewer that does not read: nothing is kept for it, and it is cut off in the end."""

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

import pytest

from dynasor.clock import WallClock
from dynasor.gateway.admission import Admission
from dynasor.gateway.client_programs import ClientPrograms
from dynasor.gateway.dashboard import feed
from dynasor.gateway.dashboard.door import DashboardDoor
from dynasor.gateway.dashboard.feed import Feed
from dynasor.gateway.dashboard.figures import Figures
from dynasor.gateway.dashboard.live import Live
from dynasor.gateway.draining import Draining
from dynasor.gateway.exchange import CONNECTION, ClientLeft, Exchange
from dynasor.gateway.keys import Everybody
from dynasor.gateway.tenants import OPEN
from dynasor.gateway.turns import Turns
from dynasor.scheduling.fcfs import Fcfs
from dynasor.scheduling.scheduler import Scheduler
from support.live_engine import until
from support.watched import Watched


class Reader:
    """A client at the other end of ASGI, that reads an event each time it is told to; also its connection."""

    def __init__(self) -> None:
        self.reads = asyncio.Semaphore(0)
        self.events: list[dict[str, Any]] = []
        self.waiting = 0
        self.was_aborted = False

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            return
        self.waiting += 1
        await self.reads.acquire()
        self.waiting -= 1
        text = message["body"].decode().partition("data: ")[2]
        self.events.append(json.loads(text or "{}"))

    async def receive(self) -> MutableMapping[str, Any]:
        raise NotImplementedError

    def tell_when_lost(self, callback: object) -> None:
        del callback

    def abort(self) -> None:
        self.was_aborted = True

    def exchange(self) -> Exchange:
        scope = {"method": "GET", "path": "/dashboard/feed", "headers": [(b"host", b"localhost")], "client": ("::1", 1)}
        return Exchange({**scope, CONNECTION: self}, self.receive, self.send)


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Live:
    monkeypatch.setattr(feed, "EVERY_S", 0.001)
    return Live()


def feed_of(live: Live, reading_s: float) -> Feed:
    turns = Turns(1, lambda: Scheduler(Fcfs()))
    clock = WallClock()
    figures = Figures(live, Admission(turns, ClientPrograms(turns, 60.0), clock))
    return Feed(live, figures, DashboardDoor(Everybody("localhost"), "", "localhost"), Draining(), clock, reading_s)


async def test_what_happened_while_nobody_read_is_told_as_it_stands(live: Live) -> None:
    reader = Reader()
    telling = asyncio.ensure_future(feed_of(live, 60.0)(reader.exchange()))
    await until(lambda: reader.waiting == 1)
    for number in range(200):
        Watched(live, f"p{number}", OPEN).run(*"2232")
    assert reader.waiting == 1, "one event is on its way, and there is no other"
    reader.reads.release()
    await until(lambda: len(reader.events) == 1 and reader.waiting == 1)
    reader.reads.release()
    await until(lambda: len(reader.events) == 2)
    snapshot, change = reader.events
    assert snapshot["programs"] == []
    assert len(change["programs"]) == 50, "of 200 that ended, those that are still known"
    assert change["programs"][-1]["id"] == "p199"
    assert change["figures"]["programs"]["finished"] == 200
    telling.cancel()


async def test_who_reads_nothing_for_too_long_is_cut_off(live: Live) -> None:
    reader, route = Reader(), feed_of(live, 0.01)
    with pytest.raises(ClientLeft):
        await route(reader.exchange())
    assert reader.was_aborted
    assert not route.viewers


async def test_silence_is_broken_so_that_who_has_gone_is_found_out(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "_HEARTBEATS", 2)
    reader = Reader()
    telling = asyncio.ensure_future(feed_of(live, 60.0)(reader.exchange()))
    for _ in range(3):
        reader.reads.release()
    await until(lambda: len(reader.events) == 3)
    assert reader.events[1:] == [{}, {}], "comments hold nothing"
    telling.cancel()
