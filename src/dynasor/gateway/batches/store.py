"""Where files and batches are kept: a database behind two threads, one that writes and one that reads.

What is done with its rows are plain functions of a transaction (`file_rows`, `batch_rows`, `item_rows`,
`gateway_rows`), which know no thread and are the same for all databases.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Protocol, TypeVar

from dynasor.gateway.batches import gateway_rows
from dynasor.gateway.batches.layout import lay_out
from dynasor.gateway.batches.settings import POSTGRES, SQLITE
from dynasor.gateway.batches.sqlite import Sqlite
from dynasor.gateway.batches.transactions import Dialect, Sql, Transactions

T = TypeVar("T")


class Store(Protocol):
    """What those who keep something here need."""

    async def write(self, operation: Callable[[Sql], T]) -> T:
        """What an operation returns, once it is durable.

        Raises:
            StoreFault: the database failed; whether the operation is kept, nobody knows.
        """
        ...

    async def read(self, operation: Callable[[Sql], T]) -> T:
        """What an operation returns that changes nothing; it sees all that was written.

        Raises:
            StoreFault: the database failed.
        """
        ...


class DatabaseStore:
    """Implements `Store`."""

    def __init__(self, dialect: Dialect, *, is_shared: bool) -> None:
        """Nothing is opened yet.

        Args:
            dialect: of the database.
            is_shared: whether other gateways may be at it.
        """
        self._dialect, self._is_shared = dialect, is_shared
        self._writing = Transactions(dialect, writes=True)
        self._reading = Transactions(dialect, writes=False)

    async def open(self, owner: str, lease_s: float) -> None:
        """Make the tables, let go of what dead gateways had, and be known as a gateway that lives.

        Raises:
            DynasorError: it cannot be opened.
        """
        await self._writing.run(lay_out)
        await self._writing.run(gateway_rows.bury if self._is_shared else gateway_rows.bury_all)
        await self._writing.run(lambda sql: gateway_rows.beat(sql, owner, lease_s))

    async def write(self, operation: Callable[[Sql], T]) -> T:
        """See `Store`."""
        return await self._writing.run(operation)

    async def read(self, operation: Callable[[Sql], T]) -> T:
        """See `Store`."""
        return await self._reading.run(operation)

    async def close(self) -> None:
        """Commit what waits, and let go of everything."""
        await self._writing.close()
        await self._reading.close()
        self._dialect.release()


def store_at(told: str) -> DatabaseStore:
    """The store that a setting names: "sqlite:FILE" or "postgresql://...".

    Raises:
        UsageError: the address cannot be, or what it needs is not installed.
    """
    if told.startswith(POSTGRES):
        dialect: Dialect = import_module("dynasor.gateway.batches.postgres").Postgres(told)
        return DatabaseStore(dialect, is_shared=True)
    return DatabaseStore(Sqlite(Path(told.removeprefix(SQLITE)).expanduser().absolute()), is_shared=False)
