import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest

from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_http import OpenAIEngine
from support.faulty_server import FaultyServer
from support.live_engine import LeapingClock, Start


@pytest.fixture(scope="session")
def server_process() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


@pytest.fixture
def server(server_process: FaultyServer) -> FaultyServer:
    server_process.stats(active=0)
    server_process.reset()
    return server_process


@pytest.fixture
def clock() -> LeapingClock:
    return LeapingClock()


@pytest.fixture
async def start(server: FaultyServer, clock: LeapingClock) -> AsyncIterator[Start]:
    """Make engines at the faulty server, with the settings given; they are closed in the end."""
    engines: list[OpenAIEngine] = []

    def make(*, clock: LeapingClock = clock, environ: dict[str, str] | None = None, **settings: Any) -> OpenAIEngine:
        endpoint = replace(Endpoint(server.url, "tiny"), **settings)
        engines.append(OpenAIEngine(endpoint, clock=clock, rng=random.Random(0), environ=environ or {}))
        return engines[-1]

    yield make
    for engine in engines:
        await engine.close()
