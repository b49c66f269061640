"""What only a store in a file has."""

import sqlite3
import stat
from pathlib import Path

import pytest

from dynasor.errors import UsageError
from dynasor.gateway.batches.store import store_at
from support.batch_files import store_of


async def test_two_gateways_cannot_have_one_file(tmp_path: Path) -> None:
    first, second = store_at(store_of(tmp_path)), store_at(store_of(tmp_path))
    await first.open("one", 1.0)
    with pytest.raises(UsageError, match=r"another gateway has the batch store .*; for several, use postgresql"):
        await second.open("two", 1.0)
    await first.close()
    await second.open("two", 1.0)
    await second.close()


async def test_the_file_is_its_owners_alone_and_survives_the_machine(tmp_path: Path) -> None:
    store = store_at(f"sqlite:{tmp_path}/new/folder/b.sqlite")
    await store.open("one", 1.0)
    file = tmp_path / "new" / "folder" / "b.sqlite"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert await store.read(lambda sql: sql.rows("PRAGMA journal_mode")) == [("wal",)]
    assert await store.write(lambda sql: sql.rows("PRAGMA synchronous")) == [(2,)], "every commit is on the disk"
    await store.close()


@pytest.mark.parametrize("content", ["no database", None])
async def test_what_cannot_be_opened_is_told(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "b.sqlite"
    if content is None:
        file.mkdir()
    else:
        file.write_text(content)
    store = store_at(f"sqlite:{file}")
    with pytest.raises(UsageError, match=r"b\.sqlite cannot be opened"):
        await store.open("one", 1.0)
    await store.close()


async def test_a_reader_is_not_held_up_by_a_writer(tmp_path: Path) -> None:
    store = store_at(store_of(tmp_path))
    await store.open("one", 1.0)
    other = sqlite3.connect(tmp_path / "batches.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert await store.read(lambda sql: sql.rows("SELECT id FROM dynasor_gateways")) == [("one",)]
    other.execute("ROLLBACK")
    other.close()
    await store.close()
