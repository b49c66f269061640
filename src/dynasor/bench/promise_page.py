"""A calibration as one page that needs nothing else: no script, no request, the figure within it.

It knows how the page is filled; how it looks is in the template beside this file. jinja2 and matplotlib come with the
extra `report`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from dynasor.bench.figures import svg
from dynasor.bench.promise_plots import draw_losses
from dynasor.bench.wording import count, percent
from dynasor.calibration.calibrate import Calibration
from dynasor.calibration.policy_file import Value
from dynasor.datasets.extras import optional

_TABLE = re.compile(r"(table=)([^,+]{48})[^,+]*")


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows.

    Attributes:
        facts: where the calibration comes from, as in the policy file.
        notes: what must be known of it, a sentence each.
        file: the name of the policy file.
    """

    found: Calibration
    facts: Mapping[str, Value]
    notes: Sequence[str]
    file: str


def promise_page(shown: Shown) -> str:
    """The HTML of the page; whatever came out of a journal is escaped.

    Raises:
        MissingExtra: where jinja2 or matplotlib is not installed.
    """
    jinja2 = optional("jinja2", "writing a page", "report")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": percent, "count_": count, "shortened": shortened, "points": _points}
    template = environment.from_string((files("dynasor.bench") / "promise.html.j2").read_text(encoding="utf-8"))
    figure = svg(draw_losses, shown.found, "losses-")
    html: str = template.render(shown=shown, found=shown.found, promise=shown.found.promise, figure=figure)
    return html


def shortened(policy: str) -> str:
    """A specification without the most of its long tables; the policy file has them whole."""
    return _TABLE.sub(r"\1\2...", policy)


def _points(share: float) -> str:
    return f"{100 * share:z.2f}"
