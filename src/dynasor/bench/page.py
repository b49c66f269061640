"""A comparison as one page that needs nothing else: no script, no request, every figure within it.

It knows how the page is filled; how it looks is in the template beside this file. jinja2 comes with the extra `report`.
"""

from dataclasses import dataclass
from importlib.resources import files

from dynasor.bench.comparison import Comparison
from dynasor.bench.wording import amount, count, notes, percent, points, problems, saved, seconds, shares
from dynasor.datasets.extras import optional


@dataclass(frozen=True, slots=True)
class Made:
    """How a page was made: the command line, the version of this package, and the date, each as it is to be read."""

    command: str
    version: str
    date: str


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a page as SVG elements; an empty one is left out."""

    tokens_to_accuracy: str = ""
    tokens_saved: str = ""


def page(comparison: Comparison, figures: Figures, made: Made) -> str:
    """The HTML of the page; whatever came out of a journal is escaped.

    Raises:
        MissingExtra: where jinja2 is not installed.
    """
    jinja2 = optional("jinja2", "writing a page", "report")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": percent, "points": points, "amount": amount, "count_": count}
    environment.filters |= {"shares": shares, "seconds": seconds}
    template = environment.from_string((files("dynasor.bench") / "page.html.j2").read_text(encoding="utf-8"))
    html: str = template.render(
        comparison=comparison,
        figures=figures,
        made=made,
        notes=notes(comparison),
        saved=saved,
        title=_title(comparison),
    )
    return html


def _title(comparison: Comparison) -> str:
    runs = sum(len(row.group.runs) for row in comparison.rows)
    return f"{count(runs)} {'runs' if runs > 1 else 'run'} over {problems(comparison.problem_count)}"
