"""Real servers as tests ask them: connections that close after each answer, and gauges that are waited for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from dynasor.bench.vllm_server import VLLMServer
from dynasor.clock import WallClock

LIMIT_S = 120.0


@asynccontextmanager
async def connections() -> AsyncIterator[aiohttp.ClientSession]:
    """As many at a time as are asked for."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(LIMIT_S)) as opened:
        yield opened


async def until(server: VLLMServer, metric: str, value: float) -> None:
    """Wait until the server tells so in its metrics."""
    async with asyncio.timeout(LIMIT_S):
        while await asyncio.to_thread(server.metric, metric) != value:
            await WallClock().sleep(0.02)
