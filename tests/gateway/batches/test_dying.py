"""A gateway that dies at any step of its work on a batch: the next one brings it to the same end."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from dynasor.gateway.batches import batch_rows, file_rows, gateway_rows, item_rows
from dynasor.gateway.batches.chores import Chores
from dynasor.gateway.batches.output_lines import answered
from dynasor.gateway.batches.records import BATCH, ENDED, Batch, StoredFile
from dynasor.gateway.batches.settings import BatchSettings
from dynasor.gateway.batches.store import DatabaseStore, store_at
from dynasor.gateway.batches.transactions import Sql
from dynasor.gateway.limits import Limits
from support.batch_files import CHAT, jsonl, line, read_jsonl, store_of

pytestmark = pytest.mark.slow
T = TypeVar("T")
NOW, ITEMS = 1000, 3


class Died(Exception):
    """As by kill -9."""


class Mortal:
    """A store of a gateway that dies before its n-th write, and writes nothing after it."""

    def __init__(self, store: DatabaseStore, writes: int) -> None:
        self._store, self.left = store, writes

    async def write(self, operation: Callable[[Sql], T]) -> T:
        if self.left <= 0:
            raise Died
        self.left -= 1
        return await self._store.write(operation)

    async def read(self, operation: Callable[[Sql], T]) -> T:
        return await self._store.read(operation)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DatabaseStore]:
    store = store_at(store_of(tmp_path))
    await store.open("none", 60.0)
    yield store
    await store.close()


async def accepted(store: DatabaseStore, lines: list[Any]) -> Batch:
    content = jsonl(lines)
    file = StoredFile("file-1", "team", "a.jsonl", BATCH, len(content), NOW, NOW + 100)
    await store.write(lambda sql: file_rows.begin(sql, file, None))
    for place in range(0, len(content), 50):
        await store.write(partial(file_rows.add_piece, file=file.id, place=place, content=content[place : place + 50]))
    batch = Batch("batch_1", "team", CHAT, file.id, "24h", NOW, NOW + 50)
    await store.write(lambda sql: batch_rows.create(sql, batch, 9))
    return batch


async def lived(store: Mortal, owner: str, asked: list[int], now: int, cancels: bool) -> None:
    """A gateway's life: it does what there is to do, one after the other."""
    chores = Chores(store, owner, BatchSettings(store="sqlite:x"), Limits(), lambda: now)
    await store.write(lambda sql: gateway_rows.beat(sql, owner, 60.0))
    while True:
        chore = await chores.take()
        if chore is not None:
            await chores.do(chore)
            continue
        items = await store.write(lambda sql: item_rows.claim(sql, owner, "batch_1", 1))
        if not items:
            return
        asked.append(items[0].place)
        await store.write(partial(item_rows.finish, results=[answered(items[0], 200, b"{}", "r")], now=now))
        if cancels:
            await store.write(lambda sql: batch_rows.cancel(sql, "team", "batch_1", now))


@pytest.mark.parametrize("way", ["completed", "failed", "cancelled", "expired"])
async def test_whoever_comes_next_goes_on(store: DatabaseStore, way: str) -> None:
    lines = [line(f"item-{place}") for place in range(1, ITEMS + 1)] + ([b"{"] if way == "failed" else [])
    deaths = 0
    for writes in range(100):
        await store.write(lambda sql: [sql.change(f"DELETE FROM dynasor_{table}") for table in TABLES])
        await accepted(store, lines)
        asked: list[int] = []
        now, cancels = (NOW + 50 if way == "expired" else NOW), way == "cancelled"
        died = False
        try:
            await lived(Mortal(store, writes), "mortal", asked, now, cancels)
        except Died:
            died = True
            deaths += 1
        await store.write(gateway_rows.bury_all)
        await lived(Mortal(store, 1000), "next", asked, now, cancels)
        batch = await store.read(lambda sql: batch_rows.find(sql, "team", "batch_1"))
        assert batch is not None
        assert (batch.status in ENDED, batch.status) == (True, way), writes
        if way == "failed":
            assert asked == []
        else:
            assert await every_line(store, batch) == [f"item-{place}" for place in range(1, ITEMS + 1)], writes
            assert len(asked) <= batch.completed + died
        if not died:
            break
    assert 8 <= deaths < 99, "it died at every step, and in the end it did not"


TABLES = ("files", "pieces", "batches", "items", "gateways")


async def every_line(store: DatabaseStore, batch: Batch) -> list[str]:
    ids: list[str] = []
    for id in (batch.output_file, batch.error_file):
        if id is not None:
            file = await store.read(partial(file_rows.find, tenant="team", id=id))
            assert file is not None
            pieces = await store.read(partial(file_rows.pieces, file=file, after=-1, count=100))
            content = b"".join(content for _, content in pieces)
            assert file.bytes == len(content)
            ids += [row["custom_id"] for row in read_jsonl(content)]
    assert msgspec.json.encode(ids)
    return sorted(ids)
