"""The figures of the study of signals, as PNG. They know studies; they compute nothing.

matplotlib comes with the extra `report` and is imported when a figure is drawn. Its global state is left as it was.
"""

from collections.abc import Callable, Mapping, Sequence
from math import ceil, isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynasor.bench.signals_rules import ORACLE
from dynasor.bench.signals_study import DRAWN, THRESHOLD, WorkloadStudy
from dynasor.datasets.extras import optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ZONES = "signals-zones.png"
CERTAINDEX = "signals-certaindex.png"
DETECTION = "signals-detection.png"
CORRELATION = "signals-correlation.png"
TOKENS = "signals-tokens.png"

Draw = Callable[["Figure", Sequence[WorkloadStudy]], None]

_STYLE = {"font.family": "DejaVu Sans", "font.size": 9.0}
# Okabe and Ito's colours, which the colour-blind tell apart, without their yellow, which vanishes on white.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#777777")
_BLACK = "#000000"
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_GREY, _PALE = "#888888", "#e4e4e4"
_ACROSS = 4  # panels
_PANEL = (3.6, 2.9)  # inches
_NAME_CHARACTERS = 30


def write_plots(studies: Sequence[WorkloadStudy], folder: Path) -> list[str]:
    """Write them all; tells their names.

    Raises:
        MissingExtra: where matplotlib is not installed.
        OSError: where a file cannot be written.
    """
    done = [study for study in studies if not study.left_out]
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in _FIGURES.items():
        _save(draw, done, folder / name)
    return list(_FIGURES)


def draw_zones(figure: "Figure", studies: Sequence[WorkloadStudy]) -> None:
    """A bar for each workload: how many problems each zone has, and how many of even's tokens they take."""
    figure.set_size_inches(12.0, 1.4 + 0.28 * len(studies))
    panels: Any = figure.subplots(1, 2, sharey=True)
    for axes, title in zip(panels, ("share of problems, %", "share of even allocation's tokens, %"), strict=True):
        for place, study in enumerate(studies):
            left = 0.0
            for row, colour in zip(study.zones, (_COLOURS[2], _COLOURS[0], "#BBBBBB"), strict=True):
                width = 100 * (row.share.value if axes is panels[0] else row.tokens)
                axes.barh(place, width, left=left, color=colour, label="" if place else row.zone)
                left += width
        axes.set_xlabel(title)
        axes.set_xlim(0, 100)
    panels[0].set_yticks(range(len(studies)), [study.name for study in studies])
    panels[0].invert_yaxis()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)


def draw_certaindex(figure: "Figure", studies: Sequence[WorkloadStudy]) -> None:
    """A panel for each workload: certaindex over branches needed, one order; behind the cap, programs never right."""
    for axes, study in _panels(figure, [study for study in studies if study.programs]):
        for solved, colour in ((True, _COLOURS[0]), (False, _COLOURS[1])):
            mine = [each for each in study.programs if (each.needed is not None) == solved]
            most = max(each.programs for each in study.programs)
            axes.scatter(
                [each.needed if each.needed is not None else 1.12 * study.cap for each in mine],
                [each.certaindex for each in mine],
                [6 + 120 * each.programs / most for each in mine],
                color=colour,
                alpha=0.5,
                linewidths=0,
            )
        axes.axhline(THRESHOLD, color=_COLOURS[5], linewidth=1)
        axes.set_xlabel("branches needed; right end: wrong at cap")
        axes.set_ylabel("certaindex")
        axes.set_ylim(-0.05, 1.05)


def draw_detection(figure: "Figure", studies: Sequence[WorkloadStudy]) -> None:
    """Pearson's and Kendall's correlation, and the share of certain programs, over the detection step."""
    several = [study for study in studies if len(study.detections) > 1]
    for axes, study in _panels(figure, several):
        steps = [row.detect_at for row in study.detections]
        for name, colour, rows in (
            ("Pearson", _COLOURS[0], [row.pearson for row in study.detections]),
            ("Kendall", _COLOURS[1], [row.kendall for row in study.detections]),
        ):
            axes.plot(steps, [row.value for row in rows], color=colour, marker="o", label=name)
            axes.fill_between(steps, [r.low for r in rows], [r.high for r in rows], color=colour, alpha=0.15)
        certain = [row.certain for row in study.detections]
        axes.plot(steps, certain, color=_GREY, linestyle="--", marker="s", label=f"share with certaindex ≥ {THRESHOLD}")
        axes.set_ylim(-0.1, 1.0)
        axes.set_xlabel("detection step, branches")
    _legend(figure)


def draw_correlation(figure: "Figure", studies: Sequence[WorkloadStudy]) -> None:
    """Kendall's correlation of every signal on every workload."""
    known = [study for study in studies if study.correlations]
    signals = list(dict.fromkeys(row.signal for study in known for row in study.correlations))
    figure.set_size_inches(3.4 + 0.62 * len(known), 3.0 + 0.26 * len(signals))
    found = {(row.signal, study.name): row.kendall.value for study in known for row in study.correlations}
    table = [[found.get((signal, study.name), nan) for study in known] for signal in signals]
    axes = figure.add_subplot()
    if not table:
        return
    axes.imshow(table, cmap="PuOr", vmin=-0.8, vmax=0.8, aspect="auto")
    for y, line in enumerate(table):
        for x, value in enumerate(line):
            axes.text(x, y, "" if isnan(value) else f"{value:.2f}", ha="center", va="center", fontsize=7)
    axes.set_xticks(range(len(known)), [study.name for study in known], rotation=60, ha="right", fontsize=7)
    axes.set_yticks(range(len(signals)), signals, fontsize=8)
    axes.set_title("Kendall's correlation with the branches saved", loc="left")


def draw_tokens(figure: "Figure", studies: Sequence[WorkloadStudy]) -> None:
    """Accuracy over tokens of the rules, as more programs are stopped, of even allocation, and of the oracle."""
    for axes, study in _panels(figure, [study for study in studies if study.even]):
        tokens = study.even[-1].tokens
        axes.plot(
            [100 * point.tokens / tokens for point in study.even],
            [100 * point.accuracy for point in study.even],
            color=_BLACK,
            linewidth=1,
            label="even, every cap",
        )
        for name, place in _shown(study).items():
            points = (study.curves or {})[name]
            axes.plot(
                [100 * point.tokens / tokens for point in points],
                [100 * point.accuracy for point in points],
                color=_COLOURS[place],
                marker=_MARKERS[place],
                markersize=2.5,
                linewidth=1,
                label=name,
            )
        for rule in study.rules:
            if rule.signal == ORACLE:
                at = 100 * rule.tokens.value / tokens, 100 * rule.accuracy.value
                axes.plot(*at, color=_BLACK, marker="*", linestyle="", markersize=9, label=ORACLE)
        axes.set_ylim(bottom=100 * min(point.accuracy for point in study.even) - 1)
        axes.set_xlabel("tokens, % of even's at the cap")
        axes.set_ylabel("accuracy, %")
    _legend(figure)


_FIGURES: Mapping[str, Draw] = {
    ZONES: draw_zones,
    CERTAINDEX: draw_certaindex,
    DETECTION: draw_detection,
    CORRELATION: draw_correlation,
    TOKENS: draw_tokens,
}


def _shown(study: WorkloadStudy) -> dict[str, int]:
    """The curves that are drawn, each with the place of its colour, which is the same in all panels."""
    return {name: place for place, name in enumerate(DRAWN) if name in (study.curves or {})}


def _panels(figure: "Figure", studies: Sequence[WorkloadStudy]) -> "list[tuple[Axes, WorkloadStudy]]":
    down = ceil(len(studies) / _ACROSS) or 1
    figure.set_size_inches(_PANEL[0] * _ACROSS, _PANEL[1] * down + 0.5)
    panels = []
    for place, study in enumerate(studies):
        axes = figure.add_subplot(down, _ACROSS, place + 1)
        axes.set_title(study.name[: _NAME_CHARACTERS + 10], loc="left", fontsize=8)
        axes.grid(visible=True, color=_PALE)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        panels.append((axes, study))
    return panels


def _legend(figure: "Figure") -> None:
    """Each curve once, though it may be in every panel."""
    shown = {
        str(label): line for axes in figure.axes for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if shown:
        figure.legend(list(shown.values()), list(shown), loc="outside upper center", ncols=8, frameon=False)


def _save(draw: Draw, studies: Sequence[WorkloadStudy], path: Path) -> None:
    matplotlib = optional("matplotlib", "drawing figures", "report")
    figures = optional("matplotlib.figure", "drawing figures", "report")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        figure = figures.Figure(dpi=100, layout="constrained")
        draw(figure, studies)
        figure.savefig(path, format="png", metadata={"Software": None})
