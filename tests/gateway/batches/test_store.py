"""What a batch store promises, of every database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from dynasor.errors import UsageError
from dynasor.gateway.batches import batch_rows, file_rows, gateway_rows, item_rows
from dynasor.gateway.batches.layout import VERSION
from dynasor.gateway.batches.records import BATCH, Batch, Item, Result, State, StoredFile, Tokens
from dynasor.gateway.batches.store import DatabaseStore, store_at
from dynasor.gateway.batches.transactions import Sql, StoreFault

FOREVER, NO_TIME = 3600.0, 0.0
NOW, LATER = 1000, 2000


@asynccontextmanager
async def opened(setting: str, owner: str = "one") -> AsyncIterator[DatabaseStore]:
    store = store_at(setting)
    try:
        await store.open(owner, FOREVER)
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(store_setting: str) -> AsyncIterator[DatabaseStore]:
    async with opened(store_setting) as store:
        yield store


def file(id: str = "file-1", tenant: str = "team", **told: Any) -> StoredFile:
    fields: dict[str, Any] = {
        "filename": "",
        "purpose": BATCH,
        "bytes": 0,
        "created_at": NOW,
        "expires_at": LATER,
    } | told
    return StoredFile(id, tenant, **fields)


def batch(id: str = "batch_1", tenant: str = "team", **told: Any) -> Batch:
    fields: dict[str, Any] = {"created_at": NOW, "expires_at": LATER} | told
    return Batch(id, tenant, "/v1/completions", "file-1", "24h", **fields)


async def running(store: DatabaseStore, count: int, id: str = "batch_1", **told: Any) -> list[Item]:
    """A batch whose items may run."""
    items = [Item(id, place, f'"item-{place}"', b"{}") for place in range(1, count + 1)]
    await store.write(lambda sql: batch_rows.create(sql, batch(id, **told), 100))
    taken = await store.write(lambda sql: batch_rows.take_chore(sql, "one", NOW))
    assert taken is not None
    assert taken.id == id
    await store.write(lambda sql: item_rows.add(sql, items))
    begin = partial(batch_rows.start, owner="one", batch=id, total=count, model="tiny", now=NOW)
    assert await store.write(begin)
    return items


def result(item: Item, state: State = State.COMPLETED, told: bytes = b"{}\n", tokens: int = 0) -> Result:
    return Result(item.batch, item.place, state, told, Tokens(input=tokens, output=2 * tokens))


async def claim(store: DatabaseStore, owner: str, count: int, id: str = "batch_1") -> list[int]:
    items = await store.write(lambda sql: item_rows.claim(sql, owner, id, count))
    return [item.place for item in items]


async def finish(store: DatabaseStore, *results: Result) -> bool:
    return await store.write(lambda sql: item_rows.finish(sql, results, NOW))


async def found(store: DatabaseStore, id: str = "batch_1", tenant: str = "team") -> Batch:
    batch = await store.read(lambda sql: batch_rows.find(sql, tenant, id))
    assert batch is not None
    return batch


async def test_a_file_is_seen_once_it_is_whole(store: DatabaseStore) -> None:
    await store.write(lambda sql: file_rows.begin(sql, file(), "one"))
    for place, content in enumerate((b"ab", b"\x00\xff", b"e")):
        await store.write(partial(file_rows.add_piece, file="file-1", place=place, content=content))
    assert await store.read(lambda sql: file_rows.find(sql, "team", "file-1")) is None
    whole = file(filename="nächste \U0001f680 'x'; --.jsonl", bytes=5)
    assert await store.write(lambda sql: file_rows.end(sql, whole))
    assert await store.read(lambda sql: file_rows.find(sql, "team", "file-1")) == whole
    assert await store.read(lambda sql: file_rows.find(sql, "others", "file-1")) is None
    assert await store.read(lambda sql: file_rows.held_bytes(sql, "team", 1000)) == 5
    assert await store.read(lambda sql: file_rows.held_bytes(sql, "others", 1000)) == 0
    await store.write(lambda sql: file_rows.begin(sql, file("file-2"), "one"))
    assert await store.read(lambda sql: file_rows.held_bytes(sql, "team", 1000)) == 1005
    assert list(await store.read(lambda sql: file_rows.pieces(sql, whole, -1, 2))) == [(0, b"ab"), (1, b"\x00\xff")]
    assert list(await store.read(lambda sql: file_rows.pieces(sql, whole, 1, 2))) == [(2, b"e")]
    await store.write(lambda sql: batch_rows.create(sql, batch(), 9))
    assert await store.write(lambda sql: file_rows.drop_unread(sql, whole)) == "batch_1"
    assert await store.read(lambda sql: file_rows.find(sql, "team", "file-1")) == whole
    await store.write(lambda sql: batch_rows.cancel(sql, "team", "batch_1", NOW))
    assert await store.write(lambda sql: file_rows.drop_unread(sql, whole)) is None
    assert await store.read(lambda sql: file_rows.find(sql, "team", "file-1")) is None
    assert not await store.read(lambda sql: file_rows.pieces(sql, whole, -1, 2))


async def test_files_are_listed_page_by_page(store: DatabaseStore) -> None:
    for number in range(6):
        told = file(
            f"file-{number}", "others" if number == 3 else "team", purpose="batch_output" if number == 5 else BATCH
        )
        await store.write(partial(file_rows.begin, file=told, owner=None))

    async def ids(**asked: Any) -> list[str]:
        usual: dict[str, Any] = {"purpose": None, "after": None, "newest_first": True, "count": 10} | asked
        listed = await store.read(lambda sql: file_rows.listed(sql, "team", **usual))
        return [told.id.removeprefix("file-") for told in listed]

    assert await ids() == ["5", "4", "2", "1", "0"]
    assert await ids(purpose=BATCH, newest_first=False) == ["0", "1", "2", "4"]
    assert await ids(after="file-4", count=2) == ["2", "1"]
    assert await ids(after="file-2", newest_first=False) == ["4", "5"]


async def test_an_item_is_claimed_once(store: DatabaseStore) -> None:
    await running(store, 5)
    assert await claim(store, "one", 2) == [1, 2]
    assert await claim(store, "two", 2) == [3, 4]
    assert await claim(store, "one", 10) == [5]
    assert await claim(store, "one", 10) == []
    await store.write(lambda sql: item_rows.put_back(sql, "one", [Item("batch_1", place, "", b"") for place in (2, 3)]))
    assert await claim(store, "two", 10) == [2], "3 is another's"


async def test_only_a_batch_in_progress_gives_items(store: DatabaseStore) -> None:
    await running(store, 2)
    await store.write(lambda sql: batch_rows.cancel(sql, "team", "batch_1", NOW))
    assert await claim(store, "one", 10) == []
    assert await store.read(lambda sql: batch_rows.live(sql, NOW)) == []


async def test_an_item_ends_once(store: DatabaseStore) -> None:
    first, second = await running(store, 2)
    await claim(store, "one", 2)
    assert not await finish(store, result(first, tokens=3))
    assert not await finish(store, result(first, State.FAILED, b"late\n", tokens=100))
    assert (await found(store)).status == "in_progress"
    assert await finish(store, result(second, State.FAILED, b"[]\n", tokens=4))
    told = await found(store)
    assert (told.status, told.ending, told.finalizing_at) == ("finalizing", "completed", NOW)
    assert (told.total, told.completed, told.failed, told.unrun) == (2, 1, 1, 0)
    assert (told.input_tokens, told.output_tokens) == (7, 14)


async def test_the_output_is_the_lines_of_what_ended(store: DatabaseStore) -> None:
    items = await running(store, 4)
    await finish(store, result(items[2], told=b"three\n"), result(items[0], told=b"one\n"))
    await finish(store, result(items[1], State.FAILED, b"two!\n"), result(items[3], State.UNRUN, b"four!\n"))
    taken = await store.write(lambda sql: batch_rows.take_chore(sql, "one", NOW))
    assert taken is not None
    for ids in (("file-o", "file-e"), ("file-x", "file-y")):  # the second time changes nothing
        await store.write(partial(batch_rows.conclude, batch=taken, ids=ids, now=NOW, keep_s=500))
    told = await found(store)
    assert (told.status, told.completed_at, told.output_file, told.error_file) == ("completed", NOW, "file-o", "file-e")
    for id, lines in (("file-o", [b"one\n", b"three\n"]), ("file-e", [b"two!\n", b"four!\n"])):
        told_file = await store.read(partial(file_rows.find, tenant="team", id=id))
        assert told_file is not None
        assert (told_file.bytes, told_file.expires_at) == (len(b"".join(lines)), NOW + 500)
        pieces = await store.read(partial(file_rows.pieces, file=told_file, after=-1, count=10))
        assert [content for _, content in pieces] == lines
        await store.write(partial(file_rows.drop, file=told_file))
    assert await store.read(lambda sql: file_rows.find(sql, "team", "file-x")) is None
    assert await store.read(lambda sql: sql.rows("SELECT line FROM dynasor_items WHERE line IS NOT NULL")) == []


async def test_a_batch_without_errors_has_no_error_file(store: DatabaseStore) -> None:
    (item,) = await running(store, 1, output_expires_s=3600)
    await finish(store, result(item))
    taken = await store.write(lambda sql: batch_rows.take_chore(sql, "one", NOW))
    assert taken is not None
    await store.write(lambda sql: batch_rows.conclude(sql, taken, ("file-o", "file-e"), NOW, 500))
    told = await found(store)
    assert (told.output_file, told.error_file) == ("file-o", None)
    output = await store.read(lambda sql: file_rows.find(sql, "team", "file-o"))
    assert output is not None
    assert output.expires_at == NOW + 3600


async def test_what_dead_gateways_had_is_nobodys(store: DatabaseStore) -> None:
    await running(store, 4)
    for owner, lease_s in (("dead", NO_TIME), ("living", FOREVER)):
        await store.write(partial(gateway_rows.beat, owner=owner, lease_s=lease_s))
        await claim(store, owner, 2)
        await store.write(partial(file_rows.begin, file=file(f"file-{owner}"), owner=owner))
        await store.write(partial(file_rows.add_piece, file=f"file-{owner}", place=0, content=b"x"))
    await store.write(partial(batch_rows.create, batch=batch("batch_2"), most=9))
    assert await store.write(lambda sql: batch_rows.take_chore(sql, "dead", NOW)) is not None
    assert await store.write(lambda sql: batch_rows.take_chore(sql, "living", NOW)) is None
    await store.write(gateway_rows.bury)
    assert await claim(store, "living", 10) == [1, 2]
    taken = await store.write(lambda sql: batch_rows.take_chore(sql, "living", NOW))
    assert taken is not None
    assert taken.id == "batch_2"
    left = await store.read(lambda sql: sql.rows("SELECT file FROM dynasor_pieces"))
    assert left == [("file-living",)]
    assert not await store.write(lambda sql: file_rows.end(sql, file("file-dead")))
    start = partial(batch_rows.start, owner="dead", batch="batch_2", total=0, model=None, now=NOW)
    assert not await store.write(start), "it was taken over"


async def test_a_gateway_that_leaves_lets_go_at_once(store: DatabaseStore) -> None:
    await running(store, 2)
    assert await claim(store, "one", 10) == [1, 2]
    await store.write(lambda sql: gateway_rows.leave(sql, "one"))
    assert await claim(store, "two", 10) == [1, 2]


async def test_a_batch_whose_time_is_over_gives_nothing_more(store: DatabaseStore) -> None:
    await running(store, 2)
    assert [live.id for live in await store.read(lambda sql: batch_rows.live(sql, LATER - 1))] == ["batch_1"]
    assert await store.read(lambda sql: batch_rows.live(sql, LATER)) == []
    assert await store.write(lambda sql: batch_rows.take_chore(sql, "one", LATER - 1)) is None
    taken = await store.write(lambda sql: batch_rows.take_chore(sql, "one", LATER))
    assert taken is not None
    assert (taken.status, taken.ending, taken.finalizing_at) == ("finalizing", "expired", LATER)
    left = await store.read(lambda sql: item_rows.unfinished(sql, "batch_1", 10))
    assert [item.custom_id for item in left] == ['"item-1"', '"item-2"']
    await finish(store, *(result(item, State.UNRUN) for item in left))
    await store.write(lambda sql: batch_rows.conclude(sql, taken, ("file-o", "file-e"), LATER, 500))
    told = await found(store)
    assert (told.status, told.expired_at, told.unrun, told.output_file) == ("expired", LATER, 2, None)


async def test_what_has_ended_is_not_cancelled(store: DatabaseStore) -> None:
    (item,) = await running(store, 1)
    await finish(store, result(item))
    told = await store.write(lambda sql: batch_rows.cancel(sql, "team", "batch_1", LATER))
    assert told is not None
    assert (told.status, told.cancelling_at) == ("finalizing", None)
    assert await store.write(lambda sql: batch_rows.cancel(sql, "others", "batch_1", LATER)) is None


async def test_a_batch_that_was_cancelled_while_it_was_read_does_not_start(store: DatabaseStore) -> None:
    await store.write(lambda sql: batch_rows.create(sql, batch(), 9))
    await store.write(lambda sql: batch_rows.take_chore(sql, "one", NOW))
    await store.write(lambda sql: batch_rows.cancel(sql, "team", "batch_1", NOW))
    assert not await store.write(partial(batch_rows.start, owner="one", batch="batch_1", total=1, model=None, now=NOW))
    assert not await store.write(lambda sql: batch_rows.fail(sql, "one", "batch_1", "[]", NOW))
    assert await store.write(lambda sql: batch_rows.take_chore(sql, "one", NOW)) is None, "it is still at it"
    await store.write(lambda sql: batch_rows.end_chore(sql, "one", "batch_1"))
    taken = await store.write(lambda sql: batch_rows.take_chore(sql, "one", NOW))
    assert taken is not None
    assert taken.status == "cancelling"


async def test_a_tenant_has_so_many_batches_and_no_more(store: DatabaseStore) -> None:
    made = [await store.write(partial(batch_rows.create, batch=batch(f"batch_{n}"), most=2)) for n in range(3)]
    assert made == [True, True, False]
    assert await store.write(lambda sql: batch_rows.create(sql, batch("batch_9", "others"), 2))
    await store.write(lambda sql: batch_rows.take_chore(sql, "one", NOW))
    assert await store.write(lambda sql: batch_rows.fail(sql, "one", "batch_0", "[]", NOW))
    assert await store.write(lambda sql: batch_rows.create(sql, batch("batch_3"), 2))
    listed = await store.read(lambda sql: batch_rows.listed(sql, "team", None, 2))
    assert [told.id for told in listed] == ["batch_3", "batch_1"]
    listed = await store.read(lambda sql: batch_rows.listed(sql, "team", "batch_1", 2))
    assert [told.id for told in listed] == ["batch_0"]


async def test_what_is_old_is_deleted(store: DatabaseStore) -> None:
    (item,) = await running(store, 1)
    await finish(store, result(item))
    taken = await store.write(lambda sql: batch_rows.take_chore(sql, "one", NOW))
    assert taken is not None
    await store.write(lambda sql: batch_rows.conclude(sql, taken, ("file-o", "file-e"), NOW, 500))
    await store.write(lambda sql: file_rows.begin(sql, file("file-kept", expires_at=LATER), None))
    assert not await store.write(lambda sql: file_rows.drop_expired(sql, NOW + 499))
    assert await store.write(lambda sql: file_rows.drop_expired(sql, NOW + 500))
    assert not await store.write(lambda sql: file_rows.drop_expired(sql, NOW + 500))
    assert not await store.write(lambda sql: batch_rows.drop_old(sql, NOW - 1))
    assert await store.write(lambda sql: batch_rows.drop_old(sql, NOW))
    assert await store.read(lambda sql: batch_rows.find(sql, "team", "batch_1")) is None
    assert await store.read(lambda sql: sql.rows("SELECT place FROM dynasor_items")) == []
    assert await store.read(lambda sql: file_rows.find(sql, "team", "file-kept")) is not None


async def test_of_those_that_are_committed_together_one_may_fail(store: DatabaseStore) -> None:
    def wrong(sql: Sql) -> None:
        sql.change("INSERT INTO dynasor_files (id) VALUES ('half')")

    def refuse(sql: Sql) -> None:
        file_rows.begin(sql, file("file-refused"), None)
        raise UsageError("no")

    operations: list[Any] = [partial(file_rows.begin, file=file(f"file-{n}"), owner=None) for n in range(20)]
    operations[5], operations[11] = wrong, refuse
    told = await asyncio.gather(*(store.write(operation) for operation in operations), return_exceptions=True)
    assert [place for place, value in enumerate(told) if value is not None] == [5, 11]
    assert isinstance(told[5], StoreFault)
    assert "half" not in str(told[5])
    assert isinstance(told[11], UsageError)
    assert len(await store.read(lambda sql: sql.rows("SELECT id FROM dynasor_files"))) == 18


async def test_what_was_committed_is_there_when_it_is_opened_again(store_setting: str) -> None:
    async with opened(store_setting) as store:
        await running(store, 3)
        assert await claim(store, "one", 1) == [1]
        await store.write(lambda sql: gateway_rows.leave(sql, "one"))
    async with opened(store_setting, "two") as store:
        assert (await found(store)).total == 3
        assert await claim(store, "two", 9) == [1, 2, 3]


async def test_a_store_of_a_newer_package_is_refused(store_setting: str) -> None:
    async with opened(store_setting) as store:
        await store.write(lambda sql: sql.change("UPDATE dynasor_layout SET version = ?", VERSION + 1))
    with pytest.raises(UsageError, match="newer than this package"):
        async with opened(store_setting):
            pass
