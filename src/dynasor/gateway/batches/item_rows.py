"""What is done with the items of batches, each within one transaction.

An item ends once: whoever commits first has ended it, and what comes later is passed over.
"""

from collections.abc import Collection, Iterable, Sequence

from dynasor.gateway.batches.records import Item, Result, State
from dynasor.gateway.batches.transactions import Sql

_COLUMNS = "batch, place, custom_id, body"


def add(sql: Sql, items: Iterable[Item]) -> None:
    """Items of a batch that is being read."""
    for item in items:
        sql.change(
            f"INSERT INTO dynasor_items ({_COLUMNS}, state) VALUES (?, ?, ?, ?, 'pending')",
            *(item.batch, item.place, item.custom_id, item.body),
        )


def drop_all(sql: Sql, batch: str) -> None:
    """A batch is read anew, or will never be."""
    sql.change("DELETE FROM dynasor_items WHERE batch = ?", batch)


def claim(sql: Sql, owner: str, batch: str, count: int) -> list[Item]:
    """So many items that no gateway is at, in the order of the input; they are the owner's then."""
    chosen = (
        "WITH chosen AS MATERIALIZED (SELECT batch AS of_batch, place AS at_place FROM dynasor_items WHERE batch = ?"
        " AND state = 'pending' AND owner IS NULL AND EXISTS (SELECT 1 FROM dynasor_batches WHERE id = ?"
        f" AND status = 'in_progress') ORDER BY place LIMIT ? {sql.dialect.passing_locked})"
    )
    found = sql.rows(
        f"{chosen} UPDATE dynasor_items SET owner = ? FROM chosen WHERE batch = of_batch AND place = at_place"
        f" RETURNING {_COLUMNS}",
        *(batch, batch, count, owner),
    )
    return sorted((Item(*row) for row in found), key=lambda item: item.place)


def put_back(sql: Sql, owner: str, items: Iterable[Item]) -> None:
    """A gateway is no longer at some items."""
    for item in sorted(items, key=lambda item: (item.batch, item.place)):
        sql.change(
            "UPDATE dynasor_items SET owner = NULL WHERE batch = ? AND place = ? AND owner = ? AND state = 'pending'",
            *(item.batch, item.place, owner),
        )


def keep_only(sql: Sql, owner: str, held: Collection[tuple[str, int]]) -> None:
    """A gateway is at these items, by batch and place, and at no others."""
    mine = sql.rows("SELECT batch, place FROM dynasor_items WHERE owner = ? AND state = 'pending'", owner)
    put_back(sql, owner, [Item(batch, place, "", b"") for batch, place in mine if (batch, place) not in held])


def unfinished(sql: Sql, batch: str, count: int) -> list[Item]:
    """So many items that have not ended, whoever is at them; without their bodies."""
    found = sql.rows(
        "SELECT place, custom_id FROM dynasor_items WHERE batch = ? AND state = 'pending' ORDER BY place LIMIT ?",
        *(batch, count),
    )
    return [Item(batch, place, custom_id, b"") for place, custom_id in found]


def finish(sql: Sql, results: Sequence[Result], now: int) -> bool:
    """Items have ended. A batch whose last item this was is about to end too; returns whether there is one."""
    is_last = False
    ended: dict[str, list[Result]] = {}
    for result in sorted(results, key=lambda result: (result.batch, result.place)):
        changed = sql.change(
            "UPDATE dynasor_items SET state = ?, line = ?, body = NULL, owner = NULL"
            " WHERE batch = ? AND place = ? AND state = 'pending'",
            *(result.state, result.line, result.batch, result.place),
        )
        if changed:
            ended.setdefault(result.batch, []).append(result)
    for batch, group in ended.items():
        _count(sql, batch, group)
        about_to_end = sql.change(
            "UPDATE dynasor_batches SET status = 'finalizing', ending = 'completed', finalizing_at = ?"
            " WHERE id = ? AND status = 'in_progress' AND completed + failed + unrun = total",
            *(now, batch),
        )
        is_last = is_last or about_to_end > 0
    return is_last


def _count(sql: Sql, batch: str, ended: Sequence[Result]) -> None:
    states = [result.state for result in ended]
    tokens = [result.tokens for result in ended]
    sql.change(
        "UPDATE dynasor_batches SET completed = completed + ?, failed = failed + ?, unrun = unrun + ?,"
        " input_tokens = input_tokens + ?, cached_tokens = cached_tokens + ?, output_tokens = output_tokens + ?,"
        " reasoning_tokens = reasoning_tokens + ? WHERE id = ?",
        *(states.count(state) for state in (State.COMPLETED, State.FAILED, State.UNRUN)),
        sum(told.input for told in tokens),
        sum(told.cached for told in tokens),
        sum(told.output for told in tokens),
        sum(told.reasoning for told in tokens),
        batch,
    )
