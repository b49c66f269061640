"""The figure of the study of algorithms: accuracy against tokens, a panel for each engine, a line for each algorithm.

matplotlib comes with the extra `report` and is imported when the figure is drawn. Its global state is left as it was.
"""

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from dynasor.bench.algorithm_rows import AlgorithmRow
from dynasor.datasets.extras import optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLE = {"font.family": "DejaVu Sans", "font.size": 12.0}
_PANEL = (9.0, 7.0)  # inches
# Okabe and Ito's colours, which the colour-blind tell apart, without their yellow, which vanishes on white.
_COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_DASHES = ("-", "--", ":")


def write_figure(rows: Sequence[AlgorithmRow], path: Path) -> None:
    """Write the figure as PNG.

    Raises:
        MissingExtra: where matplotlib is not installed.
        OSError: where the file cannot be written.
    """
    matplotlib = optional("matplotlib", "drawing figures", "report")
    figures = optional("matplotlib.figure", "drawing figures", "report")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        figure = figures.Figure(dpi=100, layout="constrained")
        draw_algorithms(figure, rows)
        figure.savefig(path, format="png", metadata={"Software": None})


def draw_algorithms(figure: "Figure", rows: Sequence[AlgorithmRow]) -> None:
    """Panels side by side, with one legend below them."""
    engines = list(dict.fromkeys(row.engine for row in rows))
    curves = list(dict.fromkeys(row.curve for row in rows))
    figure.set_size_inches(_PANEL[0] * len(engines), _PANEL[1] + 0.14 * len(curves))
    for place, engine in enumerate(engines):
        axes = figure.add_subplot(1, len(engines), place + 1)
        mine = sorted((row for row in rows if row.engine == engine), key=lambda row: curves.index(row.curve))
        for curve, points in groupby(mine, key=attrgetter("curve")):
            _line(axes, list(points), curves.index(curve))
        _dress(axes, engine, mine[0].problems)
    _legend(figure, curves)


def _line(axes: "Axes", points: Sequence[AlgorithmRow], place: int) -> None:
    ordered = sorted(points, key=lambda row: row.tokens.value)
    accuracy = [row.accuracy for row in ordered]
    axes.errorbar(
        [row.tokens.value for row in ordered],
        [100 * found.value for found in accuracy],
        yerr=[[100 * (f.value - f.low) for f in accuracy], [100 * (f.high - f.value) for f in accuracy]],
        color=_COLOURS[place % len(_COLOURS)],
        linestyle=_DASHES[place // len(_COLOURS) % len(_DASHES)],
        marker=_MARKERS[place % len(_MARKERS)],
        markersize=6,
        linewidth=1.8,
        elinewidth=0.5,
        label=ordered[0].curve,
    )


def _dress(axes: "Axes", engine: str, problems: int) -> None:
    axes.set_title(f"{engine}: {problems} problems; error bars: 95 % intervals", loc="left")
    axes.set_xlabel("generated tokens per problem")
    axes.set_ylabel("accuracy, %")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.xaxis.set_minor_formatter(lambda value, _: f"{value:,.0f}" if f"{value:.0e}"[0] in "25" else "")
    axes.grid(visible=True, which="both", color="#e4e4e4")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(figure: "Figure", curves: Sequence[str]) -> None:
    """Each curve once, though it may be in every panel."""
    shown = {
        str(label): line for axes in figure.axes for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    handles, columns = [shown[curve] for curve in curves], 3 * len(figure.axes)
    figure.legend(handles, curves, loc="outside lower center", ncols=columns, frameon=False, fontsize=11)
