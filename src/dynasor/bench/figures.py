"""The figures of a comparison as files and as text. Knows formats; what is drawn is the business of `plots`.

matplotlib comes with the extra `report` and is imported when a figure is drawn. Its global state is left as it was.
"""

import re
import warnings
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar

from dynasor.bench.comparison import Comparison, tokens_to_accuracy
from dynasor.bench.plots import HEIGHT, WIDTH, draw_tokens_saved, draw_tokens_to_accuracy
from dynasor.datasets.extras import optional

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Shown = TypeVar("Shown")

_DPI = 100
_MARGIN = 0.18  # inches
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 13.0,
    "svg.fonttype": "path",  # the same on every machine, whatever fonts it has
    "svg.hashsalt": "dynasor",  # the same bytes for the same figures
}

_DOCUMENT_ONLY = re.compile(r"<metadata>.*?</metadata>|<style.*?</style>", re.DOTALL)
_REFERENCE = re.compile(r'\bid="|href="#|url\(#')


def write_png(comparison: Comparison, path: Path) -> None:
    """Write tokens-to-accuracy as a picture of 1200 by 750, or tokens saved where no answer can be judged.

    Raises:
        MissingExtra: where matplotlib is not installed.
        OSError: where the file cannot be written.
    """
    draw = draw_tokens_to_accuracy if tokens_to_accuracy(comparison) else draw_tokens_saved
    _save(draw, comparison, path, "png")


def tokens_to_accuracy_svg(comparison: Comparison) -> str:
    """Tokens-to-accuracy as an SVG element; empty where no answer can be judged. Raises `MissingExtra`."""
    return svg(draw_tokens_to_accuracy, comparison, "accuracy-") if tokens_to_accuracy(comparison) else ""


def tokens_saved_svg(comparison: Comparison) -> str:
    """Tokens saved as an SVG element; empty where every row is the baseline. Raises `MissingExtra`."""
    return svg(draw_tokens_saved, comparison, "saved-") if any(row.saved for row in comparison.rows) else ""


def svg(draw: Callable[["Figure", Shown], None], shown: Shown, prefix: str) -> str:
    """An element that can stand in a page beside others: its ids are its own, and it styles nothing but itself.

    Raises:
        MissingExtra: where matplotlib is not installed.
    """
    text = StringIO()
    _save(draw, shown, text, "svg")
    drawn = text.getvalue()
    drawn = _REFERENCE.sub(rf"\g<0>{prefix}", _DOCUMENT_ONLY.sub("", drawn[drawn.index("<svg") :]))
    return drawn.replace("<svg ", '<svg style="stroke-linejoin:round;stroke-linecap:butt" ', 1).strip()


def _save(draw: Callable[["Figure", Shown], None], shown: Shown, target: Path | TextIO, kind: str) -> None:
    matplotlib = optional("matplotlib", "drawing figures", "report")
    figures = optional("matplotlib.figure", "drawing figures", "report")
    undated = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # a name in a script that the font lacks
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        figure = figures.Figure(figsize=(WIDTH, HEIGHT), dpi=_DPI, layout="constrained")
        figure.get_layout_engine().set(w_pad=_MARGIN, h_pad=_MARGIN)
        draw(figure, shown)
        figure.savefig(target, format=kind, metadata=undated)
