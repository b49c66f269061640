"""The comparison of engines on a terminal: three small tables, and what must be known to read them."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dynasor.bench.engine_rows import AbandonRow, CancelRow, Delay, Range, RatioRow, Row, SpeedRow
from dynasor.bench.wording import NOTHING, count

_DELAYS = (
    ("cancelled stream told", "told"),
    ("slot free, the next one served", "freed"),
    ("the next one, in a free slot", "beside"),
    ("the next one, nothing else running", "alone"),
)


def print_engines(rows: Sequence[Row]) -> None:
    """Print tables that fit into 80 columns."""
    console = Console(highlight=False, markup=False)
    names = list(dict.fromkeys(row.engine for row in rows))
    console.print(_speeds(names, rows))
    console.print()
    console.print(_cancels([row for row in rows if isinstance(row, CancelRow)]))
    console.print()
    console.print(_abandons([row for row in rows if isinstance(row, AbandonRow)]))
    console.print()
    console.print("Tokens a second: median [least, most] of the repeats; the ratio is taken in pairs.")
    console.print("Milliseconds: median / 95th percentile / most of the trials.")


def _speeds(names: Sequence[str], rows: Sequence[Row]) -> Table:
    ratios = {row.concurrency: row for row in rows if isinstance(row, RatioRow)}
    found = {(row.engine, row.concurrency): row for row in rows if isinstance(row, SpeedRow)}
    table = _table("tokens/s", [*names, *["ratio"] * bool(ratios)])
    for concurrency in dict.fromkeys(concurrency for _, concurrency in found):
        cells = [_range(found[name, concurrency].tokens_per_s) for name in names]
        ratio = [_ratio(ratios[concurrency].ratio)] if concurrency in ratios else []
        _add(table, f"{concurrency} at once", [*cells, *ratio])
    return table


def _cancels(rows: Sequence[CancelRow]) -> Table:
    table = _table(f"ms, one of {rows[0].slots} streams", [row.engine for row in rows])
    for label, name in _DELAYS:
        _add(table, label, [_delay(getattr(row, name)) for row in rows])
    target = f"slot free within {count(rows[0].target_ms)} ms"
    _add(table, target, [f"{row.within_target} of {row.trials}" for row in rows])
    return table


def _abandons(rows: Sequence[AbandonRow]) -> Table:
    table = _table(f"ms, all {rows[0].slots} streams abandoned", [row.engine for row in rows])
    _add(table, "closed", [_delay(row.closed) for row in rows])
    _add(table, "nothing runs any more", [_delay(row.idle) for row in rows])
    _add(table, "tokens generated for nobody", [_range(row.lost_tokens) for row in rows])
    return table


def _table(label: str, headings: Iterable[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="")
    table.add_column(Text(label))
    for heading in headings:
        table.add_column(Text(heading), justify="right", no_wrap=True)
    return table


def _add(table: Table, label: str, cells: Iterable[str]) -> None:
    table.add_row(Text(label), *map(Text, cells))


def _range(found: Range | None) -> str:
    if found is None:
        return NOTHING
    return f"{count(found.median)} [{count(found.least)}, {count(found.most)}]"


def _ratio(found: Range) -> str:
    return f"{found.median:.2f} [{found.least:.2f}, {found.most:.2f}]"


def _delay(found: Delay) -> str:
    return " / ".join(count(value) for value in (found.median_ms, found.p95_ms, found.most_ms))
