"""One connection to a database, in a thread of its own: what waits at one time is committed at one time.

A commit costs a write to the disk, whatever it holds. Nobody is told of an operation before the transaction that holds
it is committed. It knows no table, and of databases only their dialect.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Protocol, TypeVar

from dynasor.errors import EngineError

_LOG = logging.getLogger("dynasor.gateway")
_ATTEMPTS = 5
T = TypeVar("T")


class Dialect(Protocol):
    """What differs between databases."""

    faults: tuple[type[Exception], ...]
    """What its library raises."""
    number: str
    """The type of a column that counts rows by itself."""
    blob: str
    """The type of a column of bytes."""
    begin: str
    """Begins a transaction that writes."""
    alone: str
    """Within one, keeps all others from changing the layout; nothing where it does anyhow."""
    passing_locked: str
    """Ends a choice of rows that are to be changed, and passes over those that another gateway changes."""
    now: str
    """The database's own clock, in seconds of the epoch."""
    together: int
    """Operations of one transaction, at most. Where several gateways write, more than one in an order of their own
    would wait for each other in a circle."""

    def connect(self) -> Any:
        """A connection that commits by itself outside of transactions, with `execute` and `close`.

        Raises:
            DynasorError: there is none.
        """
        ...

    def spelled(self, statement: str) -> Any:
        """A statement with `?` for each value, as its library wants it."""
        ...

    def is_lost(self, connection: Any) -> bool:
        """Whether a connection is of no more use."""
        ...

    def passes(self, fault: Exception) -> bool:
        """Whether a transaction that failed so may be tried again: others were in its way."""
        ...

    def release(self) -> None:
        """Let go of what was held beside connections."""
        ...


class Sql:
    """A transaction, as operations see it."""

    def __init__(self, connection: Any, dialect: Dialect) -> None:
        self._connection, self.dialect = connection, dialect

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """What a statement returns."""
        found: list[tuple[Any, ...]] = self._connection.execute(self.dialect.spelled(statement), values).fetchall()
        return found

    def change(self, statement: str, *values: object) -> int:
        """Execute a statement; returns how many rows it changed."""
        count: int = self._connection.execute(self.dialect.spelled(statement), values).rowcount
        return count


Operation = Callable[[Sql], Any]
_Waiting = tuple[Operation, "Future[Any]"]


class StoreFault(EngineError):
    """The database did not do its part; what was committed before is safe."""

    def __init__(self, fault: Exception) -> None:
        super().__init__(f"the batch store failed: {type(fault).__name__}", retryable=True, retry_after_s=1.0)


class Transactions:
    """The thread. It starts with the first operation, and ends with `close`."""

    def __init__(self, dialect: Dialect, *, writes: bool) -> None:
        """Nothing is connected yet.

        Args:
            dialect: of the database.
            writes: whether operations change anything; those that do not are done one by one.
        """
        self._dialect, self._most = dialect, dialect.together if writes else 1
        self._begin = dialect.begin if writes else "BEGIN"
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._connection: Any = None
        self._was_connected = False

    async def run(self, operation: Callable[[Sql], T]) -> T:
        """What an operation returns, once it is committed. It may be called again where a transaction has failed.

        Raises:
            DynasorError: what the operation raises; then nothing of it is kept.
            StoreFault: the database failed; nobody knows whether the operation is kept.
        """
        if self._thread is None:
            self._thread = Thread(target=self._work, name="batch store", daemon=True)
            self._thread.start()
        told: Future[T] = Future()
        self._queue.put((operation, told))
        return await asyncio.wrap_future(told)

    async def close(self) -> None:
        """Commit what waits, and disconnect."""
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            group: list[_Waiting] = [first]
            ends = False
            with suppress(Empty):
                while len(group) < self._most and not ends:
                    further = self._queue.get_nowait()
                    if further is None:
                        ends = True
                    else:
                        group.append(further)
            self._commit(group)
            if ends:
                break
        self._disconnect()

    def _commit(self, group: Sequence[_Waiting]) -> None:
        try:
            told = self._transaction([operation for operation, _ in group])
        except Exception as fault:  # noqa: BLE001  whatever it is, somebody waits to be told
            if len(group) > 1:
                for waiting in group:
                    self._commit([waiting])  # the fault of one is not another's
            else:
                _tell(group[0][1], fault=self._translated(fault))
            return
        for (_, future), value in zip(group, told, strict=True):
            _tell(future, value)

    def _transaction(self, operations: Sequence[Operation]) -> list[Any]:
        """All in one, or nothing; again where others were in the way, or the connection was lost before the end."""
        for attempt in range(1, _ATTEMPTS + 1):
            if self._connection is None:
                self._connection = self._dialect.connect()
                self._was_connected = True
            committing = False
            try:
                sql = Sql(self._connection, self._dialect)
                sql.change(self._begin)
                told = [operation(sql) for operation in operations]
                committing = True
                sql.change("COMMIT")
            except Exception as fault:
                self._roll_back()
                passes = self._is_foreign(fault) and (self._connection is None or self._dialect.passes(fault))
                if attempt == _ATTEMPTS or committing or not passes:
                    raise
            else:
                return told
        raise AssertionError  # the last attempt returns or raises

    def _roll_back(self) -> None:
        with suppress(*self._dialect.faults):
            self._connection.execute("ROLLBACK")
        if self._dialect.is_lost(self._connection):
            self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(*self._dialect.faults):
                self._connection.close()
            self._connection = None

    def _is_foreign(self, fault: Exception) -> bool:
        return isinstance(fault, self._dialect.faults)

    def _translated(self, fault: Exception) -> Exception:
        cannot_connect = isinstance(fault, EngineError) and self._was_connected
        if not self._is_foreign(fault) and not cannot_connect:
            return fault  # where it was never connected, its owner is told why; later, clients are told no addresses
        _LOG.warning("the batch store failed: %s", fault)
        return StoreFault(fault)


def _tell(future: "Future[Any]", value: object = None, fault: Exception | None = None) -> None:
    if future.set_running_or_notify_cancel():
        if fault is None:
            future.set_result(value)
        else:
            future.set_exception(fault)
