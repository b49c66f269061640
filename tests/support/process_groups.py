"""Which processes of a group are alive: what a server may have left behind."""

from pathlib import Path

from dynasor.clock import WallClock


def living(group: int) -> list[int]:
    """The processes of a group, without those that have ended and wait to be buried."""
    alive = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, _, fields = status.read_text().rpartition(") ")
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, _, its_group, *_ = fields.split()
        if int(its_group) == group and state not in "ZX":
            alive.append(int(status.parent.name))
    return alive


async def all_gone(group: int, limit_s: float = 10.0) -> bool:
    """Whether no process of a group is alive, by a time limit."""
    clock = WallClock()
    deadline = clock.now() + limit_s
    while living(group):
        if clock.now() > deadline:
            return False
        await clock.sleep(0.01)
    return True
