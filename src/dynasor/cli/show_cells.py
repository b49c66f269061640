"""Cells of the tables that show a past run.

They say everything without colour, and hold nothing that a terminal would obey.
"""

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from dynasor.bench.wording import NOTHING, count
from dynasor.journal.records import Setting
from dynasor.launch.remade import briefly
from dynasor.request import Finish

CHOSEN = "★"

_ENDED: Mapping[Finish | None, str] = {
    Finish.STOP: "end",
    Finish.LENGTH: "length",
    Finish.CANCELLED: "cut",
    Finish.FAILED: "failed",
    None: "unfinished",
}


def plain_table(*, expand: bool = False) -> Table:
    """A table without lines."""
    return Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim", expand=expand)


def add_columns(table: Table, names: str, right: str = "") -> None:
    """Columns that are as wide as what is in them; those also named in `right` hold figures."""
    for name in names.split():
        table.add_column(name.strip("_"), no_wrap=True, justify="right" if name in right.split() else "left")


def add_texts(table: Table, name: str, ratio: int = 1) -> None:
    """A column that gets what width is left, and cuts its texts to it."""
    table.add_column(name, no_wrap=True, overflow="ellipsis", ratio=ratio, min_width=4)


def asked(settings: Mapping[str, Setting]) -> tuple[str, str]:
    """The algorithm and the policy of a run."""
    return one_line(briefly(str(settings.get("algorithm", "?")))), one_line(str(settings.get("policy", "?")))


def one_line(text: str) -> str:
    """A text on one line; signs that are no letters to a terminal become blanks."""
    return " ".join(printable(text).split())


def printable(text: str) -> str:
    """A text as a terminal may have it: lines are kept, and whatever else it would obey becomes a blank."""
    return "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text)


def answer_cell(answer: str | None, correct: float | None, width: int = 14) -> Text:
    """An answer, cut to a width, in the colour of how right it is."""
    if answer is None:
        return Text(NOTHING)
    line = one_line(answer)
    return Text(line if len(line) <= width else f"{line[: width - 1]}…", style=_style(correct))


def judged(correct: float | None) -> Text:
    """How right an answer is, in a word."""
    return Text(judged_word(correct), style=_style(correct))


def judged_word(correct: float | None) -> str:
    """`right` or `wrong`; nothing where nobody can tell."""
    return "" if correct is None else "right" if correct > 0.5 else "wrong"


def ended_word(finish: Finish | None) -> str:
    """How a request ended, in a word."""
    return _ENDED[finish]


def tokens_cell(tokens: int | None) -> str:
    """A number of tokens; a dash where nobody told."""
    return NOTHING if tokens is None else count(tokens)


def figure(value: float | None) -> str:
    """A figure in [0, 1]; a dash where there is none."""
    return NOTHING if value is None else f"{value:.2f}"


def _style(correct: float | None) -> str:
    return "" if correct is None else "green" if correct > 0.5 else "red"
