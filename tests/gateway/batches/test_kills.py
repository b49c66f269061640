"""kill -9 of `dynasor serve` while it has batches: what was accepted ends once, and is not asked again once it has."""

import asyncio
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import psycopg
import pytest
from openai import AsyncOpenAI
from openai.types import Batch

from dynasor.clock import WallClock
from support.batch_files import begun, ended, line, lines_of
from support.faulty_server import FaultyServer
from support.postgres_server import PostgresServer
from support.serve_process import Serve, serve

pytestmark = pytest.mark.slow
KILLS, BATCHES, ITEMS = 20, 5, 80
TOKEN_DELAY_S = 0.005
SETTINGS = "[batches]\nconcurrency = 8\nlease_s = 1.0\n"


@asynccontextmanager
async def serving(url: str, store: str, folder: Path) -> AsyncIterator[tuple[Serve, AsyncOpenAI]]:
    """The gateway as a process, and a client of it."""
    settings = folder / "gateway.toml"
    settings.write_text(SETTINGS)
    told = ("--backend", url, "--batch-store", store, "--config", str(settings), "--log-format", "none")
    async with (
        serve(*told) as process,
        AsyncOpenAI(base_url=f"http://127.0.0.1:{process.port}/v1", api_key="none", max_retries=0) as client,
    ):
        yield process, client


def ended_items(store: str) -> set[str]:
    """What the requests asked that have ended, as the store itself has it; nobody is at it."""
    asked = "SELECT batch, place FROM dynasor_items WHERE state <> 'pending'"
    if store.startswith("sqlite:"):
        with sqlite3.connect(store.removeprefix("sqlite:")) as connection:
            rows = connection.execute(asked).fetchall()
        connection.close()
    else:
        with psycopg.connect(store) as other:
            rows = other.execute(asked.encode()).fetchall()
    return {f"{batch} {place}" for batch, place in rows}


async def accepted(client: AsyncOpenAI, number: int) -> Batch:
    """One batch more; every request of all of them asks something else."""
    return await begun(client, [line(f"item-{place}", f"{number} and {place}?") for place in range(1, ITEMS + 1)])


async def test_everything_that_was_accepted_ends_once(store_setting: str, tmp_path: Path) -> None:
    random, clock = Random(7), WallClock()
    batches: list[Batch] = []
    asked_before, kills_at_work = 0, 0
    with FaultyServer(token_delay_s=TOKEN_DELAY_S) as backend:
        for kill in range(KILLS):
            names = {batch.id: str(number) for number, batch in enumerate(batches)}
            known = {
                f"{names[id]} and {place}?"
                for id, place in (told.split() for told in (ended_items(store_setting) if batches else ()))
                if id in names
            }
            async with serving(backend.url, store_setting, tmp_path) as (process, client):
                if kill % (KILLS // BATCHES) == 0:
                    batches.append(await accepted(client, len(batches)))
                answered = (await asyncio.to_thread(backend.stats)).answered
                if kill % 4:  # the others are killed as they begin
                    more = random.randrange(1, 12)
                    while (await asyncio.to_thread(backend.stats)).answered < answered + more:
                        assert process.process.returncode is None
                        await clock.sleep(0.01)
                await clock.sleep(random.uniform(0.0, 0.1))
                process.signal(signal.SIGKILL)
                await process.ended()
            received = (await asyncio.to_thread(backend.log)).received
            again = known & {question for question, _ in received[asked_before:]}
            assert not again, f"{len(again)} items that had ended were asked again"
            kills_at_work += len(received) > asked_before
            asked_before = len(received)
        assert kills_at_work >= KILLS // 2, "the kills hit gateways at work"
        assert len(ended_items(store_setting)) < BATCHES * ITEMS, "there was work left at every kill"
        async with serving(backend.url, store_setting, tmp_path) as (process, client):
            for batch in batches:
                await all_answered_once(client, batch.id)
            process.signal(signal.SIGTERM)
            assert await process.ended(120) == 0
        counts = Counter(question for question, _ in (await asyncio.to_thread(backend.log)).received)
        assert len(counts) == BATCHES * ITEMS
        assert max(counts.values()) <= KILLS + 1


async def all_answered_once(client: AsyncOpenAI, id: str) -> None:
    batch = await ended(client, id, limit_s=300)
    assert (batch.status, batch.error_file_id) == ("completed", None)
    assert batch.request_counts is not None
    assert batch.request_counts.to_dict() == {"total": ITEMS, "completed": ITEMS, "failed": 0}
    told = await lines_of(client, batch.output_file_id)
    assert [row["custom_id"] for row in told] == [f"item-{place}" for place in range(1, ITEMS + 1)]
    assert all(row["response"]["status_code"] == 200 for row in told)


async def test_a_living_gateway_takes_over_what_a_killed_one_had(postgres: PostgresServer, tmp_path: Path) -> None:
    store = postgres.empty()
    with FaultyServer(token_delay_s=TOKEN_DELAY_S) as backend:
        async with (
            serving(backend.url, store, tmp_path) as (one, first),
            serving(backend.url, store, tmp_path) as (
                _,
                second,
            ),
        ):
            batch = await accepted(first, 0)
            while (await asyncio.to_thread(backend.stats)).answered < ITEMS // 4:
                await WallClock().sleep(0.01)
            one.signal(signal.SIGKILL)
            await one.ended()
            await all_answered_once(second, batch.id)
        asked = Counter(question for question, _ in (await asyncio.to_thread(backend.log)).received)
        assert sum(asked.values()) <= ITEMS + 8, "only what the killed one had under way was asked twice"


async def test_told_to_end_it_finishes_what_is_under_way_and_begins_nothing(tmp_path: Path) -> None:
    store = f"sqlite:{tmp_path}/b.sqlite"
    with FaultyServer(token_delay_s=TOKEN_DELAY_S) as backend:
        async with serving(backend.url, store, tmp_path) as (process, client):
            batch = await accepted(client, 0)
            while (await asyncio.to_thread(backend.stats)).answered < ITEMS // 8:
                await WallClock().sleep(0.01)
            process.signal(signal.SIGTERM)
            assert await process.ended(120) == 0
        assert 0 < len(ended_items(store)) < ITEMS
        async with serving(backend.url, store, tmp_path) as (process, client):
            await all_answered_once(client, batch.id)
        assert len((await asyncio.to_thread(backend.log)).received) == ITEMS, "nothing was asked twice"
