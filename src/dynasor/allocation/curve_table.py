"""The table of a curve as text: rows `certaindex@knob` with `/` between them. It knows no policy."""

from functools import lru_cache
from itertools import pairwise

from dynasor.errors import UsageError


class Written(str):
    """Text that represents itself, so that a policy's canonical specification reads as it was written."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


@lru_cache(maxsize=1 << 10)
def table_rows(table: str) -> tuple[tuple[float, int], ...]:
    """The rows of a curve's table, (certaindex, knob), the most certain first.

    Raises:
        UsageError: where they are none, or give more to a higher certaindex.
    """
    try:
        pairs = [row.split("@") for row in table.split("/")]
        rows = tuple(sorted(((float(certaindex), int(knob)) for certaindex, knob in pairs), reverse=True))
    except ValueError as fault:
        raise UsageError(f"'{table}' is no curve; write certaindex@knob, with / between rows: 1@5/0.7@12") from fault
    if any(not 0 <= certaindex <= 1 or knob < 1 for certaindex, knob in rows):
        raise UsageError(f"the curve '{table}' leaves its range: certaindex is from 0 to 1, and a knob at least 1")
    if any(one[1] > other[1] or one[0] == other[0] for one, other in pairwise(rows)):
        raise UsageError(f"the curve '{table}' gives more to a higher certaindex, or two knobs to one; it may not")
    return rows
