"""The plots of the offline evaluation: accuracy against tokens, tokens by policy, by difficulty, and by threshold.

matplotlib comes with the extra `report` and is imported when a figure is drawn. Its global state is left as it was.
"""

from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from dynasor.bench.offline_arms import OURS_TUNED
from dynasor.bench.offline_page import ACCURACY_PLOT, DIFFICULTY_PLOT, THRESHOLD_PLOT, TOKENS_PLOT
from dynasor.bench.offline_rows import ORACLE, Result
from dynasor.datasets.extras import optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Draw = Callable[["Axes", Result], None]

_STYLE = {"font.family": "DejaVu Sans", "font.size": 10.0}
_COLUMNS, _PANEL = 4, (4.2, 3.4)  # inches
_LEAST_SPAN = 4.0  # points of accuracy
_LINES = {
    "even": ("#000000", "o", "-"),
    "static 0.7 at 5": ("#0072B2", "s", "-"),
    "decided + static 0.7 at 5": ("#009E73", "^", "-"),
    "decided + beta 0.95": ("#D55E00", "D", "-"),
    "beta 0.95": ("#E69F00", "v", "--"),
    "windows of 5": ("#CC79A7", "P", "--"),
    ORACLE: ("#56B4E9", "X", ":"),
}
_SIDES = {"paper": "#0072B2", "ours": "#D55E00", "neighbour": "#CC79A7", ORACLE: "#56B4E9"}


def write_plots(results: Sequence[Result], directory: Path) -> None:
    """Write all four as PNG; none where there are no rows.

    Raises:
        MissingExtra: where matplotlib is not installed.
        OSError: where a file cannot be written.
    """
    done = [result for result in results if not result.facts.left_out]
    if not done:
        return
    for name, draw in (
        (ACCURACY_PLOT, _accuracy),
        (TOKENS_PLOT, _tokens),
        (DIFFICULTY_PLOT, _difficulty),
        (THRESHOLD_PLOT, _thresholds),
    ):
        _write(done, draw, directory / name)


def _write(results: Sequence[Result], draw: Draw, path: Path) -> None:
    matplotlib = optional("matplotlib", "drawing figures", "report")
    figures = optional("matplotlib.figure", "drawing figures", "report")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        rows, columns = ceil(len(results) / _COLUMNS), min(_COLUMNS, len(results))
        height = _PANEL[1] * (1.5 if draw is _tokens else 1)
        figure = figures.Figure(figsize=(_PANEL[0] * columns, height * rows), dpi=80, layout="constrained")
        for place, result in enumerate(results):
            axes = figure.add_subplot(rows, columns, place + 1)
            draw(axes, result)
            _dress(axes, result.facts.name)
        _legend(figure)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png", metadata={"Software": None})


def _accuracy(axes: "Axes", result: Result) -> None:
    for name, (colour, marker, dash) in _LINES.items():
        rows = sorted((row for row in result.arms if row.arm == name), key=lambda row: row.cap)
        tokens, right = [row.tokens.value for row in rows], [100 * row.accuracy.value for row in rows]
        axes.plot(tokens, right, color=colour, marker=marker, linestyle=dash, markersize=4, linewidth=1.3, label=name)
    ours = result.at_largest()[OURS_TUNED]
    axes.plot([ours.tokens.value], [100 * ours.accuracy.value], "*", color="#D55E00", markersize=11, label=OURS_TUNED)
    axes.set_xlabel("tokens a problem")
    axes.set_ylabel("accuracy, %")
    axes.set_xlim(left=0)
    axes.locator_params(axis="x", nbins=5)
    low, high = axes.get_ylim()
    if high - low < _LEAST_SPAN:  # else a tenth of a point would look like a gulf
        axes.set_ylim((low + high - _LEAST_SPAN) / 2, (low + high + _LEAST_SPAN) / 2)


def _tokens(axes: "Axes", result: Result) -> None:
    rows = [row for row in result.at_largest().values() if row.arm != "even"]
    for place, row in enumerate(rows):
        saved = row.saved
        errors = [[max(0.0, 100 * (saved.value - saved.low))], [max(0.0, 100 * (saved.high - saved.value))]]
        hatch = "///" if row.loses else None
        axes.barh(place, 100 * saved.value, xerr=errors, color=_SIDES[row.side], hatch=hatch, height=0.7)
    axes.set_yticks(range(len(rows)), [row.arm for row in rows], fontsize=7)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("tokens saved, % (hatched: significant loss)")


def _difficulty(axes: "Axes", result: Result) -> None:
    for name, colour in (("even", "#000000"), ("ours", "#D55E00"), (ORACLE, "#56B4E9")):
        shares = [100 * band.tokens[name] / band.tokens["even"] for band in result.bands if band.tokens["even"]]
        middles = [50 * (band.low + band.high) for band in result.bands if band.tokens["even"]]
        axes.plot(middles, shares, color=colour, marker="o", markersize=4, label=name)
    axes.set_xlabel("samples that are right, %")
    axes.set_ylabel("tokens, % of even")
    axes.set_ylim(0, 105)


def _thresholds(axes: "Axes", result: Result) -> None:
    rows = sorted(result.sweep, key=lambda row: row.threshold)
    at = [row.threshold for row in rows]
    axes.plot(at, [100 * row.saved for row in rows], color="#0072B2", marker="s", label="tokens saved, %")
    axes.plot(at, [100 * row.difference for row in rows], color="#D55E00", marker="o", label="accuracy − even, points")
    axes.set_xlabel("threshold")


def _dress(axes: "Axes", title: str) -> None:
    axes.set_title(title, loc="left", fontsize=9)
    axes.grid(visible=True, color="#e4e4e4")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(figure: "Figure") -> None:
    """Once below all panels, which have the same lines."""
    lines, labels = figure.axes[0].get_legend_handles_labels()
    if labels:
        figure.legend(lines, labels, loc="outside lower center", ncols=4, frameon=False)
