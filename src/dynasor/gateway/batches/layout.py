"""The tables of a batch store. What clients may write anything into is kept as JSON or bytes."""

from dynasor.errors import UsageError
from dynasor.gateway.batches.transactions import Sql

VERSION = 1

_TABLES = (
    """CREATE TABLE IF NOT EXISTS dynasor_files (
        number {number}, id TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, filename TEXT NOT NULL, purpose TEXT NOT NULL,
        bytes BIGINT NOT NULL, created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, batch TEXT, part TEXT,
        owner TEXT)""",
    """CREATE TABLE IF NOT EXISTS dynasor_pieces (
        file TEXT NOT NULL, place BIGINT NOT NULL, content {blob} NOT NULL, PRIMARY KEY (file, place))""",
    """CREATE TABLE IF NOT EXISTS dynasor_batches (
        number {number}, id TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, endpoint TEXT NOT NULL,
        input_file TEXT NOT NULL, completion_window TEXT NOT NULL, created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL, status TEXT NOT NULL, ending TEXT, metadata TEXT, errors TEXT, model TEXT,
        output_expires_s BIGINT, output_file TEXT, error_file TEXT, in_progress_at BIGINT, finalizing_at BIGINT,
        completed_at BIGINT, failed_at BIGINT, expired_at BIGINT, cancelling_at BIGINT, cancelled_at BIGINT,
        total BIGINT NOT NULL, completed BIGINT NOT NULL, failed BIGINT NOT NULL, unrun BIGINT NOT NULL,
        input_tokens BIGINT NOT NULL, cached_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
        reasoning_tokens BIGINT NOT NULL, owner TEXT)""",
    """CREATE TABLE IF NOT EXISTS dynasor_items (
        batch TEXT NOT NULL, place BIGINT NOT NULL, custom_id TEXT NOT NULL, state TEXT NOT NULL, owner TEXT,
        body {blob}, line {blob}, PRIMARY KEY (batch, place))""",
    "CREATE TABLE IF NOT EXISTS dynasor_gateways (id TEXT PRIMARY KEY, alive_until DOUBLE PRECISION NOT NULL)",
    "CREATE TABLE IF NOT EXISTS dynasor_layout (version BIGINT NOT NULL)",
    """CREATE INDEX IF NOT EXISTS dynasor_items_waiting ON dynasor_items (batch, place)
        WHERE state = 'pending' AND owner IS NULL""",
    """CREATE INDEX IF NOT EXISTS dynasor_items_owned ON dynasor_items (owner)
        WHERE state = 'pending' AND owner IS NOT NULL""",
    "CREATE INDEX IF NOT EXISTS dynasor_files_of ON dynasor_files (tenant, number)",
    "CREATE INDEX IF NOT EXISTS dynasor_batches_of ON dynasor_batches (tenant, number)",
)


def lay_out(sql: Sql) -> None:
    """Make the tables, where they are not there.

    Raises:
        UsageError: a newer version of this package has made them.
    """
    if sql.dialect.alone:
        sql.rows(sql.dialect.alone)
    for table in _TABLES:
        sql.change(table.format(number=sql.dialect.number, blob=sql.dialect.blob))
    found = sql.rows("SELECT version FROM dynasor_layout")
    if not found:
        sql.change("INSERT INTO dynasor_layout (version) VALUES (?)", VERSION)
    elif found[0][0] > VERSION:
        raise UsageError(f"the batch store has layout {found[0][0]}, which is newer than this package; upgrade it")
