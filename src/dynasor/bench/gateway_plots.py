"""The figure of a gateway benchmark: CPU time a request and a streamed token, a dot for each gateway."""

from pathlib import Path
from typing import TYPE_CHECKING

from dynasor.bench.gateway_figures import DIRECT, GOALS, OURS, Figures
from dynasor.datasets.extras import optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_OURS, _OTHERS, _GREY, _PALE = "#0072B2", "#999999", "#666666", "#e4e4e4"
_SIZE = (12.0, 4.8)  # inches
_PANELS = (("cpu_request", "CPU time a request, us"), ("cpu_token", "CPU time a streamed token, us"))


def write_figure(figures: Figures, path: Path) -> None:
    """Draw it into a PNG file.

    Raises:
        MissingExtra: where matplotlib is not installed.
    """
    matplotlib = optional("matplotlib", "drawing figures", "report")
    drawing = optional("matplotlib.figure", "drawing figures", "report")
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        figure = drawing.Figure(figsize=_SIZE, dpi=100, layout="constrained")
        _draw(figure, figures)
        figure.savefig(path, format="png", metadata={"Software": None})


def _draw(figure: "Figure", figures: Figures) -> None:
    """Two panels; the range is over rounds, the dashed line the goal."""
    for axes, (name, title) in zip(figure.subplots(1, len(_PANELS)), _PANELS, strict=True):
        _panel(axes, figures, name, title)


def _panel(axes: "Axes", figures: Figures, name: str, title: str) -> None:
    found = [(arm, figures.figure(arm, name)) for arm in figures.arms if arm != DIRECT]
    dots = [(arm, figure) for arm, figure in found if figure is not None]
    for place, (arm, one) in enumerate(dots):
        around = [[one.value - one.low], [one.high - one.value]]
        color = _OURS if arm.startswith(OURS) else _OTHERS
        axes.errorbar(one.value, place, xerr=around, fmt="o", markersize=8, color=color, ecolor=_GREY, capsize=3)
    axes.axvline(GOALS[name].bound, color=_GREY, linestyle="--", linewidth=1.2)
    axes.set_yticks(range(len(dots)), [arm for arm, _ in dots])
    axes.set_ylim(-0.5, len(dots) - 0.5)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_title(title, loc="left")
    axes.grid(visible=True, axis="x", color=_PALE)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
