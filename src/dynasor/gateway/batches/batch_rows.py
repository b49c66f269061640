"""What is done with the batches of a store, each within one transaction."""

from collections.abc import Sequence
from typing import NamedTuple

from dynasor.gateway.batches import file_rows
from dynasor.gateway.batches.records import OUTPUT, Batch, Status, StoredFile
from dynasor.gateway.batches.transactions import Sql

_FIELDS = Batch.__struct_fields__
_COLUMNS = ", ".join(_FIELDS)
_MARKS = ", ".join("?" for _ in _FIELDS)
_UNENDED = "('validating', 'in_progress', 'finalizing', 'cancelling')"
_ENDED_AT = "COALESCE(completed_at, failed_at, expired_at, cancelled_at)"


class Live(NamedTuple):
    """A batch whose items may run."""

    id: str
    tenant: str
    endpoint: str


def create(sql: Sql, batch: Batch, most: int) -> bool:
    """A batch begins; False where its tenant has so many that have not ended."""
    ((count,),) = sql.rows(
        f"SELECT COUNT(*) FROM dynasor_batches WHERE tenant = ? AND status IN {_UNENDED}",
        batch.tenant,
    )
    if count >= most:
        return False
    values = [getattr(batch, name) for name in _FIELDS]
    sql.change(f"INSERT INTO dynasor_batches ({_COLUMNS}) VALUES ({_MARKS})", *values)
    return True


def find(sql: Sql, tenant: str, id: str) -> Batch | None:
    """A batch of a tenant."""
    found = sql.rows(
        f"SELECT {_COLUMNS} FROM dynasor_batches WHERE tenant = ? AND id = ?",
        tenant,
        id,
    )
    return Batch(*found[0]) if found else None


def listed(sql: Sql, tenant: str, after: str | None, count: int) -> list[Batch]:
    """Batches of a tenant, the newest first, behind one of them."""
    behind = "" if after is None else "AND number < (SELECT number FROM dynasor_batches WHERE id = ?)"
    found = sql.rows(
        f"SELECT {_COLUMNS} FROM dynasor_batches WHERE tenant = ? {behind} ORDER BY number DESC LIMIT ?",
        tenant, *([] if after is None else [after]), count,
    )  # fmt: skip
    return [Batch(*row) for row in found]


def live(sql: Sql, now: int) -> list[Live]:
    """Batches whose items may run, the oldest first."""
    found = sql.rows(
        "SELECT id, tenant, endpoint FROM dynasor_batches WHERE status = 'in_progress' AND expires_at > ?"
        " ORDER BY number",
        now,
    )
    return [Live(*row) for row in found]


def cancel(sql: Sql, tenant: str, id: str, now: int) -> Batch | None:
    """Begin to cancel a batch, unless it is about to end; returns it as it is then."""
    sql.change(
        "UPDATE dynasor_batches SET status = 'cancelling', ending = 'cancelled', cancelling_at = ?"
        " WHERE tenant = ? AND id = ? AND status IN ('validating', 'in_progress')",
        now, tenant, id,
    )  # fmt: skip
    return find(sql, tenant, id)


def take_chore(sql: Sql, owner: str, now: int) -> Batch | None:
    """A batch that is to be read or brought to its end, and that no gateway is at; it is the owner's then.

    One whose time is over takes no more requests from here on.
    """
    found = sql.rows(
        f"SELECT {_COLUMNS} FROM dynasor_batches WHERE owner IS NULL AND (status IN"
        " ('validating', 'finalizing', 'cancelling') OR (status = 'in_progress' AND expires_at <= ?))"
        f" ORDER BY number LIMIT 1 {sql.dialect.passing_locked}",
        now,
    )
    if not found:
        return None
    batch = Batch(*found[0])
    sql.change("UPDATE dynasor_batches SET owner = ? WHERE id = ?", owner, batch.id)
    if batch.status == Status.IN_PROGRESS:
        sql.change(
            "UPDATE dynasor_batches SET status = 'finalizing', ending = 'expired', finalizing_at = ? WHERE id = ?",
            now, batch.id,
        )  # fmt: skip
    return find(sql, batch.tenant, batch.id)


def is_at(sql: Sql, owner: str, batch: str) -> bool:
    """Whether a gateway is at a batch still; one that was silent for too long is not."""
    return bool(sql.rows("SELECT 1 FROM dynasor_batches WHERE id = ? AND owner = ?", batch, owner))


def end_chore(sql: Sql, owner: str, batch: str) -> None:
    """A gateway is no longer at a batch."""
    sql.change("UPDATE dynasor_batches SET owner = NULL WHERE id = ? AND owner = ?", batch, owner)


def end_chores(sql: Sql, owner: str) -> None:
    """A gateway is at no batch."""
    sql.change("UPDATE dynasor_batches SET owner = NULL WHERE owner = ?", owner)


def start(sql: Sql, owner: str, batch: str, *, total: int, model: str | None, now: int) -> bool:
    """All items of a batch are there, and may run; False where it was cancelled or taken over meanwhile."""
    told = (
        "UPDATE dynasor_batches SET status = 'in_progress', in_progress_at = ?, total = ?, model = ?, owner = NULL"
        " WHERE id = ? AND status = 'validating' AND owner = ?"
    )
    return sql.change(told, now, total, model, batch, owner) > 0


def fail(sql: Sql, owner: str, batch: str, errors: str, now: int) -> bool:
    """Its input is wrong; False where it was cancelled or taken over meanwhile."""
    told = (
        "UPDATE dynasor_batches SET status = 'failed', failed_at = ?, errors = ?, owner = NULL"
        " WHERE id = ? AND status = 'validating' AND owner = ?"
    )
    return sql.change(told, now, errors, batch, owner) > 0


def conclude(sql: Sql, batch: Batch, ids: tuple[str, str], now: int, keep_s: int) -> None:
    """No item of a batch is pending: its files are there, and it has ended. What has ended is passed over.

    Args:
        sql: the transaction.
        batch: as it was taken.
        ids: of the files with its output and its errors, where there are such lines.
        now: the instant.
        keep_s: seconds that the files are kept.
    """
    ending = Status(batch.ending or Status.COMPLETED)
    told = (
        f"UPDATE dynasor_batches SET status = ?, {ending}_at = ?, owner = NULL"
        " WHERE id = ? AND status IN ('finalizing', 'cancelling')"
    )
    if not sql.change(told, ending, now, batch.id):
        return
    expires_at = now + (batch.output_expires_s or keep_s)
    for part, id, sign in zip(("output", "error"), ids, ("=", "<>"), strict=True):
        ((count, size),) = sql.rows(
            f"SELECT COUNT(*), SUM(LENGTH(line)) FROM dynasor_items WHERE batch = ? AND state {sign} 'completed'",
            batch.id,
        )
        if count:
            name = f"{batch.id}_{part}.jsonl"
            file = StoredFile(id, batch.tenant, name, OUTPUT, int(size), now, expires_at, batch.id, part)
            file_rows.begin(sql, file, None)
            sql.change(f"UPDATE dynasor_batches SET {part}_file = ? WHERE id = ?", id, batch.id)


def drop_old(sql: Sql, before: int) -> bool:
    """Delete one batch that ended by then, with its items; returns whether there was one."""
    found: Sequence[tuple[str]] = sql.rows(
        f"SELECT id FROM dynasor_batches WHERE {_ENDED_AT} <= ? LIMIT 1",
        before,
    )
    for (id,) in found:
        sql.change("DELETE FROM dynasor_files WHERE batch = ?", id)
        sql.change("DELETE FROM dynasor_items WHERE batch = ?", id)
        sql.change("DELETE FROM dynasor_batches WHERE id = ?", id)
    return bool(found)
