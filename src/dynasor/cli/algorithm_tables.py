"""The study of algorithms on a terminal: a small table for each engine."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dynasor.bench.algorithm_rows import AlgorithmRow
from dynasor.bench.algorithm_tables import gained
from dynasor.bench.wording import count, percent

_HEADINGS = ("cap", "accuracy", "tokens", "against sc")


def print_algorithms(rows: Sequence[AlgorithmRow]) -> None:
    """Print tables that fit into 80 columns."""
    console = Console(highlight=False, markup=False)
    for engine in dict.fromkeys(row.engine for row in rows):
        mine = [row for row in rows if row.engine == engine]
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="")
        table.add_column(Text(f"{engine}, {mine[0].problems} problems"))
        for heading in _HEADINGS:
            table.add_column(Text(heading), justify="right", no_wrap=True)
        for row in mine:
            cells = (row.curve, str(row.cap), percent(row.accuracy), count(round(row.tokens.value)), gained(row))
            table.add_row(*map(Text, cells))
        console.print(table)
        console.print()
    console.print("Tokens a problem. Against self-consistency at as many tokens: points of accuracy.")
