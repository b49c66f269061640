"""PostgreSQL, for several gateways at one database."""

from typing import Any

from dynasor.errors import EngineError, MissingExtra, UsageError

try:
    import psycopg
except ImportError as missing:
    raise MissingExtra("a batch store in PostgreSQL", "postgres") from missing

_LAYOUT_LOCK = 7_309_453_121  # any number that no other program's advisory lock has
_CONNECT_S = 10


class Postgres:
    """Implements `transactions.Dialect`."""

    faults: tuple[type[Exception], ...] = (psycopg.Error,)
    number = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    blob = "BYTEA"
    begin = "BEGIN"
    alone = f"SELECT pg_advisory_xact_lock({_LAYOUT_LOCK})"
    passing_locked = "FOR UPDATE SKIP LOCKED"
    together = 1
    now = "extract(epoch FROM clock_timestamp())::double precision"

    def __init__(self, url: str) -> None:
        """Connect to nothing yet.

        Raises:
            UsageError: it is no address of a database.
        """
        try:
            psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.Error:
            raise UsageError("the batch store is no postgresql://USER@HOST/DATABASE that can be read") from None
        self._url = url

    def connect(self) -> Any:
        """A connection.

        Raises:
            EngineError: there is none.
        """
        try:
            return psycopg.connect(
                self._url, autocommit=True, prepare_threshold=None, connect_timeout=_CONNECT_S,
                application_name="dynasor",
            )  # fmt: skip
        except psycopg.Error as fault:
            told = str(fault).strip().partition("\n")[0]
            raise EngineError(f"the batch store cannot be reached: {told}", retryable=True, retry_after_s=1.0) from None

    def spelled(self, statement: str) -> bytes:
        """With the marks of its library."""
        return statement.replace("?", "%s").encode()

    def is_lost(self, connection: Any) -> bool:
        """Whether it is closed or broken."""
        return bool(connection.closed or connection.broken)

    def passes(self, fault: Exception) -> bool:
        """Whether it was given up for another transaction's sake."""
        return isinstance(fault, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure)

    def release(self) -> None:
        """Nothing is held."""
