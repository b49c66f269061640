"""The plot of the online evaluation on a real engine: attainment against rate, and against SLO scale.

matplotlib comes with the extra `report` and is imported when a figure is drawn. Its global state is left as it was.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from dynasor.bench.online_arms import OURS
from dynasor.bench.online_live_arms import ARMS
from dynasor.bench.online_live_figures import P90, LiveFigures
from dynasor.bench.online_rows import SHARES
from dynasor.datasets.extras import optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLE = {"font.family": "DejaVu Sans", "font.size": 10.0}
_SIZE = (10.5, 4.6)  # inches
_COLOURS = ("#000000", "#0072B2", "#56B4E9", "#D55E00", "#E69F00", "#999999", "#CC79A7", "#8C564B")
_OURS = ("#009E73", "#117733", "#6A3D9A", "#AA4499")
_MARKERS = ("o", "s", "x", "D", "v", "+", "^", "<", "P", "*", "X", "d")


def write_live_plot(figures: LiveFigures, arms: tuple[str, ...], load: float, path: Path) -> None:
    """Write it as PNG.

    Raises:
        MissingExtra: where matplotlib is not installed.
        OSError: where the file cannot be written.
    """
    matplotlib = optional("matplotlib", "drawing figures", "report")
    drawing = optional("matplotlib.figure", "drawing figures", "report")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        figure = drawing.Figure(figsize=_SIZE, dpi=90, layout="constrained")
        rates, scales = figure.subplots(1, 2)
        for arm in arms:
            _line(rates, arm, *_by_rate(figures, arm))
            _line(scales, arm, *_by_scale(figures, arm, load))
        scales.set_xscale("log")
        _dress(rates, "programs a second")
        _dress(scales, f"SLO scale, at load {load:g}")
        labels = dict(zip(*reversed(rates.get_legend_handles_labels()), strict=True))
        figure.legend(labels.values(), labels.keys(), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
        figure.savefig(path, format="png", metadata={"Software": None})


def _by_rate(figures: LiveFigures, arm: str) -> tuple[list[float], list[float]]:
    loads = figures.loads(arm)
    rates = [figures.mean(arm, load, lambda row: row.point.rate) for load in loads]
    return rates, [100 * figures.attainment(arm, load).value for load in loads]


def _by_scale(figures: LiveFigures, arm: str, load: float) -> tuple[list[float], list[float]]:
    needed = sorted(figures.pooled(arm, load, lambda row: row.needed))
    if not needed:
        return [], []
    return [needed[max(0, round(share * len(needed)) - 1)] for share in SHARES], [100 * share for share in SHARES]


def _line(axes: "Axes", arm: str, x: list[float], y: list[float]) -> None:
    if not x:
        return
    names = [each.name for each in ARMS]
    ours = [each.name for each in ARMS if each.side == OURS]
    place = names.index(arm)
    colour = _OURS[ours.index(arm)] if arm in ours else _COLOURS[place]
    dash = "--" if arm in ours else "-"
    axes.plot(x, y, color=colour, marker=_MARKERS[place], linestyle=dash, markersize=4, linewidth=1.3, label=arm)


def _dress(axes: "Axes", label: str) -> None:
    axes.axhline(100 * P90, color="#999999", linewidth=1)
    axes.set_xlabel(label)
    axes.set_ylabel("in time, %")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, alpha=0.3)
