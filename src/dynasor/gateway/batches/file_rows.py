"""What is done with the files of a batch store, each within one transaction."""

from collections.abc import Sequence

from dynasor.gateway.batches.records import StoredFile
from dynasor.gateway.batches.transactions import Sql

_FIELDS = StoredFile.__struct_fields__
_COLUMNS = ", ".join(_FIELDS)
_MARKS = ", ".join("?" for _ in _FIELDS)
_READING = "SELECT id FROM dynasor_batches WHERE input_file = ? AND status = 'validating'"


def begin(sql: Sql, file: StoredFile, owner: str | None) -> None:
    """A file begins; nobody sees it while a gateway owns it."""
    values = [getattr(file, name) for name in _FIELDS]
    sql.change(f"INSERT INTO dynasor_files ({_COLUMNS}, owner) VALUES ({_MARKS}, ?)", *values, owner)


def add_piece(sql: Sql, file: str, place: int, content: bytes) -> None:
    """The next piece of its content."""
    sql.change("INSERT INTO dynasor_pieces (file, place, content) VALUES (?, ?, ?)", file, place, content)


def end(sql: Sql, file: StoredFile) -> bool:
    """All of it is there; returns whether it still is, for what a gateway had that was silent for too long is gone."""
    told = "UPDATE dynasor_files SET filename = ?, purpose = ?, bytes = ?, expires_at = ?, owner = NULL WHERE id = ?"
    return sql.change(told, file.filename, file.purpose, file.bytes, file.expires_at, file.id) > 0


def find(sql: Sql, tenant: str, id: str) -> StoredFile | None:
    """A file of a tenant."""
    found = sql.rows(
        f"SELECT {_COLUMNS} FROM dynasor_files WHERE tenant = ? AND id = ? AND owner IS NULL",
        tenant,
        id,
    )
    return StoredFile(*found[0]) if found else None


def listed(
    sql: Sql, tenant: str, *, purpose: str | None, after: str | None, newest_first: bool, count: int
) -> list[StoredFile]:
    """Files of a tenant, behind one of them."""
    where, values = "tenant = ? AND owner IS NULL", [tenant]
    if purpose is not None:
        where, values = f"{where} AND purpose = ?", [*values, purpose]
    if after is not None:
        sign = "<" if newest_first else ">"
        where, values = (
            f"{where} AND number {sign} (SELECT number FROM dynasor_files WHERE id = ?)",
            [*values, after],
        )
    order = "DESC" if newest_first else "ASC"
    found = sql.rows(
        f"SELECT {_COLUMNS} FROM dynasor_files WHERE {where} ORDER BY number {order} LIMIT ?",
        *values,
        count,
    )
    return [StoredFile(*row) for row in found]


def pieces(sql: Sql, file: StoredFile, after: int, count: int) -> Sequence[tuple[int, bytes]]:
    """Pieces of a file's content, or lines of a batch's output, behind a place."""
    if file.batch is None:
        return sql.rows(
            "SELECT place, content FROM dynasor_pieces WHERE file = ? AND place > ? ORDER BY place LIMIT ?",
            *(file.id, after, count),
        )  # fmt: skip
    sign = "=" if file.part == "output" else "<>"
    return sql.rows(
        f"SELECT place, line FROM dynasor_items WHERE batch = ? AND place > ? AND state {sign} 'completed'"
        " AND line IS NOT NULL ORDER BY place LIMIT ?",
        *(file.batch, after, count),
    )


def held_bytes(sql: Sql, tenant: str, largest: int) -> int:
    """Of all files of a tenant; one that is coming up counts as the largest that may."""
    ((held,),) = sql.rows(
        "SELECT SUM(CASE WHEN owner IS NULL THEN bytes ELSE ? END) FROM dynasor_files WHERE tenant = ?",
        *(largest, tenant),
    )
    return int(held or 0)


def drop_unread(sql: Sql, file: StoredFile) -> str | None:
    """Delete a file, unless a batch has still to read it; that is returned."""
    found = sql.rows(_READING, file.id)
    if found:
        reader: str = found[0][0]
        return reader
    drop(sql, file)
    return None


def drop(sql: Sql, file: StoredFile) -> None:
    """A file is deleted, with its content."""
    sql.change("DELETE FROM dynasor_files WHERE id = ?", file.id)
    sql.change("DELETE FROM dynasor_pieces WHERE file = ?", file.id)
    if file.batch is not None:
        sign = "=" if file.part == "output" else "<>"
        sql.change(
            f"UPDATE dynasor_items SET line = NULL WHERE batch = ? AND state {sign} 'completed'",
            file.batch,
        )


def drop_expired(sql: Sql, now: int) -> bool:
    """Delete one file whose time is over; returns whether there was one."""
    found = sql.rows(
        f"SELECT {_COLUMNS} FROM dynasor_files WHERE owner IS NULL AND expires_at <= ? AND id NOT IN"
        " (SELECT input_file FROM dynasor_batches WHERE status = 'validating') LIMIT 1",
        now,
    )
    for row in found:
        drop(sql, StoredFile(*row))
    return bool(found)
