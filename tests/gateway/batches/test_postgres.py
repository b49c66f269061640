"""What only a store that several gateways share has."""

import asyncio
from functools import partial
from itertools import chain

import psycopg
import pytest

from dynasor.errors import EngineError, UsageError
from dynasor.gateway.batches import batch_rows, file_rows, item_rows
from dynasor.gateway.batches.records import Batch, Item, Result, State, StoredFile
from dynasor.gateway.batches.store import DatabaseStore, store_at
from dynasor.gateway.batches.transactions import Sql
from support.postgres_server import PostgresServer

pytestmark = pytest.mark.slow
ITEMS, GATEWAYS = 300, 4


async def test_gateways_that_start_together_make_the_tables_once(postgres: PostgresServer) -> None:
    setting = postgres.empty()
    stores = [store_at(setting) for _ in range(GATEWAYS)]
    await asyncio.gather(*(store.open(f"gateway-{place}", 60.0) for place, store in enumerate(stores)))
    assert len(await stores[0].read(lambda sql: sql.rows("SELECT id FROM dynasor_gateways"))) == GATEWAYS
    assert await stores[1].read(lambda sql: sql.rows("SELECT version FROM dynasor_layout")) == [(1,)]
    for store in stores:
        await store.close()


async def test_gateways_share_a_batch_without_an_item_twice(postgres: PostgresServer) -> None:
    setting = postgres.empty()
    stores = [store_at(setting) for _ in range(GATEWAYS)]
    await asyncio.gather(*(store.open(f"gateway-{place}", 60.0) for place, store in enumerate(stores)))
    batches = ("batch_a", "batch_b")
    for id in batches:
        await _begun(stores[0], id)

    async def work(place: int) -> list[tuple[str, int]]:
        store, mine = stores[place], list[tuple[str, int]]()
        order = batches if place % 2 else batches[::-1]
        while True:
            claims = [
                store.write(partial(item_rows.claim, owner=f"gateway-{place}", batch=id, count=3)) for id in order
            ]
            items = [item for several in await asyncio.gather(*claims) for item in several]
            if not items:
                return mine
            mine += [(item.batch, item.place) for item in items]
            results = [Result(item.batch, item.place, State.COMPLETED, b"{}\n") for item in items]
            await store.write(partial(item_rows.finish, results=results, now=0))

    shares = await asyncio.gather(*(work(place) for place in range(GATEWAYS)))
    assert sorted(chain(*shares)) == [(id, place) for id in batches for place in range(1, ITEMS + 1)]
    assert sum(bool(share) for share in shares) > 1, "more than one of them had some"
    for id in batches:
        told = await stores[0].read(partial(batch_rows.find, tenant="team", id=id))
        assert told is not None
        assert (told.status, told.completed) == ("finalizing", ITEMS)
    for store in stores:
        await store.close()


async def _begun(store: DatabaseStore, id: str) -> None:
    batch = Batch(id, "team", "/v1/completions", "file-1", "24h", 0, 1 << 40)
    await store.write(lambda sql: batch_rows.create(sql, batch, 9))
    await store.write(lambda sql: batch_rows.take_chore(sql, "gateway-0", 0))
    await store.write(lambda sql: item_rows.add(sql, [Item(id, place, '"x"', b"{}") for place in range(1, ITEMS + 1)]))
    await store.write(partial(batch_rows.start, owner="gateway-0", batch=id, total=ITEMS, model=None, now=0))


async def test_a_connection_that_breaks_is_made_anew(postgres: PostgresServer) -> None:
    setting = postgres.empty()
    store = store_at(setting)
    await store.open("one", 60.0)
    mine = await store.write(lambda sql: sql.rows("SELECT pg_backend_pid()"))
    with psycopg.connect(setting, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", mine[0])
    file = StoredFile("file-1", "team", "", "batch", 0, 0, 1)
    await store.write(lambda sql: file_rows.begin(sql, file, None))
    assert await store.read(lambda sql: file_rows.find(sql, "team", "file-1")) == file
    assert await store.write(lambda sql: sql.rows("SELECT pg_backend_pid()")) != mine

    def end_itself(sql: Sql) -> None:
        sql.rows("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(EngineError, match="the batch store failed"):
        await store.write(end_itself)
    assert await store.write(lambda sql: sql.rows("SELECT 1")) == [(1,)]
    await store.close()


async def test_a_server_that_is_not_there_is_told() -> None:
    store = store_at("postgresql://nobody@/x?host=/nonexistent")
    with pytest.raises(EngineError, match="the batch store cannot be reached"):
        await store.open("one", 1.0)
    await store.close()
    with pytest.raises(UsageError, match="no postgresql://"):
        store_at("postgresql://host/x?nonsense=1")
