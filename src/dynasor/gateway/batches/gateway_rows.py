"""Which gateways live, and what becomes of the work of those that do not.

A gateway writes its name on what it takes, and says now and then, by the database's own clock, that it lives. What is
written over to one that has not said so for too long is nobody's again.
"""

from dynasor.gateway.batches.transactions import Sql

_UPLOADS = "SELECT id FROM dynasor_files WHERE owner IS NOT NULL AND owner NOT IN (SELECT id FROM dynasor_gateways)"


def beat(sql: Sql, owner: str, lease_s: float) -> None:
    """A gateway lives, for so many seconds from now on."""
    until = f"{sql.dialect.now} + ?"
    changed = sql.change(f"UPDATE dynasor_gateways SET alive_until = {until} WHERE id = ?", lease_s, owner)
    if not changed:
        sql.change(f"INSERT INTO dynasor_gateways (id, alive_until) VALUES (?, {until})", owner, lease_s)


def bury(sql: Sql) -> None:
    """Let go of what gateways had that live no more."""
    sql.change(f"DELETE FROM dynasor_gateways WHERE alive_until <= {sql.dialect.now}")
    _release(sql)


def bury_all(sql: Sql) -> None:
    """The same, where it is known that no gateway lives."""
    sql.change("DELETE FROM dynasor_gateways")
    _release(sql)


def leave(sql: Sql, owner: str) -> None:
    """A gateway ends in good order."""
    sql.change("DELETE FROM dynasor_gateways WHERE id = ?", owner)
    _release(sql)


def _release(sql: Sql) -> None:
    alive = "(SELECT id FROM dynasor_gateways)"
    sql.change(
        f"UPDATE dynasor_items SET owner = NULL WHERE state = 'pending' AND owner IS NOT NULL AND owner NOT IN {alive}"
    )
    sql.change(f"UPDATE dynasor_batches SET owner = NULL WHERE owner IS NOT NULL AND owner NOT IN {alive}")
    sql.change(f"DELETE FROM dynasor_pieces WHERE file IN ({_UPLOADS})")
    sql.change(f"DELETE FROM dynasor_files WHERE id IN ({_UPLOADS})")
