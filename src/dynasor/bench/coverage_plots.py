"""The figure of the study of promises: how many were broken, and what was saved, for each recording.

matplotlib comes with the extra `report` and is imported when the figure is drawn. Its global state is left as it was.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dynasor.bench.coverage_study import CoverageRow, Kept, Line
from dynasor.datasets.extras import optional
from dynasor.metrics.intervals import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURE = "coverage.png"

_STYLE = {"font.family": "DejaVu Sans", "font.size": 11.0}
_PROMISED, _TUNED, _DECIDED = ("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "|")
_PALE, _GREY = "#e4e4e4", "#666666"


def write_figure(lines: Sequence[Line], path: Path) -> None:
    """Write the figure as PNG; none where no recording has rows.

    Raises:
        MissingExtra: where matplotlib is not installed.
        OSError: where the file cannot be written.
    """
    rows = [line for line in lines if isinstance(line, CoverageRow)]
    if not rows:
        return
    matplotlib = optional("matplotlib", "drawing figures", "report")
    figures = optional("matplotlib.figure", "drawing figures", "report")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        figure = figures.Figure(dpi=100, layout="constrained")
        draw_coverage(figure, rows)
        figure.savefig(path, format="png", metadata={"Software": None})


def draw_coverage(figure: "Figure", rows: Sequence[CoverageRow]) -> None:
    """A row of panels for each tolerance: promises broken on the left, on all problems in the middle, tokens saved."""
    tolerances = list(dict.fromkeys(row.tolerance for row in rows))
    names = list(dict.fromkeys(row.trace for row in rows))
    figure.set_size_inches(16.0, (0.32 * len(names) + 1.1) * len(tolerances) + 0.6)
    panels = figure.subplots(len(tolerances), 3, squeeze=False, sharey=True)
    for tolerance, (broken, on_all, saved) in zip(tolerances, panels, strict=True):
        mine = [row for row in rows if row.tolerance == tolerance]
        _broken(broken, [(row.promised.broken, row.tuned.broken) for row in mine], mine[0])
        _broken(on_all, [(row.promised.broken_on_all, row.tuned.broken_on_all) for row in mine], mine[0])
        _saved(saved, mine)
        broken.set_title(f"at most {100 * tolerance:g} points: broken on the test half, %", loc="left", fontsize=11)
        on_all.set_title("broken on all problems, %", loc="left", fontsize=11)
        saved.set_title("tokens saved, %", loc="left", fontsize=11)
        broken.set_yticks(range(len(mine)), [row.trace for row in mine])
        for axes in (broken, on_all, saved):
            _dress(axes, len(mine))
    handles, labels = panels[0][2].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)


def _broken(axes: "Axes", shares: Sequence[tuple[Estimate, Estimate]], row: CoverageRow) -> None:
    for place, pair in enumerate(shares):
        for share, (colour, marker), up in zip(pair, (_PROMISED, _TUNED), (-0.13, 0.13), strict=True):
            below, above = share.value - share.low, share.high - share.value
            bars = [[100 * max(0.0, below)], [100 * max(0.0, above)]]  # rounding may put an end past the figure
            axes.errorbar([100 * share.value], [place + up], xerr=bars, color=colour, marker=marker, markersize=5)
    axes.axvline(100 * (1 - row.confidence), color=_GREY, linestyle="--", linewidth=1.0)
    axes.set_xlim(-2, 102)


def _saved(axes: "Axes", rows: Sequence[CoverageRow]) -> None:
    places = list(range(len(rows)))
    for name, savings, (colour, marker) in (
        ("calibrated, with a promise", [_percent(row.promised) for row in rows], _PROMISED),
        ("tuned on the same half, without one", [_percent(row.tuned) for row in rows], _TUNED),
        ("stopping at a decided vote", [100 * row.decided for row in rows], _DECIDED),
    ):
        axes.plot(savings, places, linestyle="", marker=marker, color=colour, label=name, markersize=7)
    axes.set_xlim(0, 100)


def _percent(kept: Kept) -> float:
    return 100 * kept.saving


def _dress(axes: "Axes", count: int) -> None:
    axes.set_ylim(count - 0.5, -0.5)
    axes.grid(visible=True, axis="x", color=_PALE)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(False)
