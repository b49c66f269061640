"""The plots of the online evaluation, a panel for each workload: rates, scales, accuracy, fairness and memory.

matplotlib comes with the extra `report` and is imported when a figure is drawn. Its global state is left as it was.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from dynasor.bench.online_arms import BASELINES, DYNASOR, MAIN, REMEMBERING
from dynasor.bench.online_figures import P90, Measured, deciles
from dynasor.bench.online_page import (
    ACCURACY_PLOT,
    FAIRNESS_PLOT,
    MEMORY_PLOT,
    RATE_PLOT,
    SCALE_PLOT,
    measured,
    scales,
)
from dynasor.bench.online_rows import SHARES
from dynasor.bench.online_study import CAPS_AT, OnlinePlan, OnlineStudy
from dynasor.datasets.extras import optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLE = {"font.family": "DejaVu Sans", "font.size": 10.0}
_PANEL = (4.6, 3.6)  # inches
_LINES = {
    BASELINES[0]: ("#000000", "o", "-"),
    BASELINES[1]: ("#0072B2", "s", "--"),
    BASELINES[2]: ("#56B4E9", "x", ":"),
    BASELINES[3]: ("#999999", "+", ":"),
    DYNASOR: ("#D55E00", "D", "-"),
    "with gang": ("#E69F00", "v", ":"),
    "gang for SJF": ("#F0E442", "<", ":"),
    "without certaindex": ("#CC79A7", "^", ":"),
    "+ decided": ("#8C564B", "P", "--"),
    "+ in flight": ("#009E73", "^", "--"),
    "lasting in flight": ("#117733", "p", "-."),
    "+ deadline-aware": ("#6A3D9A", "*", "-."),
}


@dataclass(frozen=True, slots=True)
class _Panel:
    axes: "Axes"
    rows: Measured
    plan: OnlinePlan

    def line(self, arm: str, x: list[float], y: list[float], name: str | None = None) -> None:
        """A line of an arm, where it has points."""
        if x:
            colour, marker, dash = _LINES[arm]
            self.axes.plot(
                x, y, color=colour, marker=marker, linestyle=dash, markersize=4, linewidth=1.4, label=name or arm
            )


def write_plots(study: OnlineStudy, directory: Path) -> None:
    """Write them as PNG; those of what was not measured are left out.

    Raises:
        MissingExtra: where matplotlib is not installed.
        OSError: where a file cannot be written.
    """
    shown = measured(study)
    _write(study, shown, _rates, directory / RATE_PLOT)
    _write(study, shown, _scales, directory / SCALE_PLOT)
    _write(study, shown, _fairness, directory / FAIRNESS_PLOT)
    if study.plan.caps:
        _write(study, shown, _accuracy, directory / ACCURACY_PLOT)
    if study.plan.memories:
        _write(study, shown, _memory, directory / MEMORY_PLOT)


def _write(study: OnlineStudy, shown: dict[str, Measured], draw: Callable[[_Panel], None], path: Path) -> None:
    matplotlib = optional("matplotlib", "drawing figures", "report")
    figures = optional("matplotlib.figure", "drawing figures", "report")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        figure = figures.Figure(figsize=(_PANEL[0] * len(shown), _PANEL[1]), dpi=90, layout="constrained")
        for place, (name, rows) in enumerate(shown.items()):
            axes = figure.add_subplot(1, len(shown), place + 1)
            draw(_Panel(axes, rows, study.plan))
            axes.set_title(name, fontsize=10, loc="left")
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(visible=True, alpha=0.3)
        labels = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        figure.legend(labels.values(), labels.keys(), loc="outside lower center", ncols=6, frameon=False, fontsize=9)
        figure.savefig(path, format="png", metadata={"Software": None})


def _rates(panel: _Panel) -> None:
    for arm in (arm for arm in _LINES if arm in panel.plan.arms):
        loads = [load for load in sorted({*panel.plan.loads, *panel.plan.fixed}) if panel.rows.at(arm, load)]
        found = [panel.rows.at(arm, load) for load in loads]
        rates = [fmean(row.rate for row in rows) for rows in found]
        panel.line(arm, rates, [100 * fmean(row.attainment for row in rows) for rows in found])
    _threshold(panel, "programs a second")


def _scales(panel: _Panel) -> None:
    for arm in (arm for arm in _LINES if arm in panel.plan.arms):
        panel.line(arm, scales(panel.rows, arm, panel.plan.fixed[-1]), [100 * share for share in SHARES])
    panel.axes.set_xscale("log")
    _threshold(panel, f"SLO scale, at load {panel.plan.fixed[-1]:g}")


def _threshold(panel: _Panel, label: str) -> None:
    panel.axes.axhline(100 * P90, color="#999999", linewidth=1)
    panel.axes.set_xlabel(label)
    panel.axes.set_ylabel("in time, %")


def _fairness(panel: _Panel) -> None:
    for arm in (arm for arm in _LINES if arm in panel.plan.arms):
        found = deciles(panel.rows.at(arm, panel.plan.fixed[-1]))
        panel.line(arm, found, [10.0 * (place + 1) for place in range(len(found))])
    panel.axes.set_xscale("log")
    panel.axes.set_xlabel(f"ms a token of even allocation, at load {panel.plan.fixed[-1]:g}")
    panel.axes.set_ylabel("programs, %")


def _accuracy(panel: _Panel) -> None:
    for arm in (arm for arm in MAIN if arm in panel.plan.arms):
        found = [panel.rows.at_cap(arm, CAPS_AT, cap) for cap in panel.plan.caps]
        found = [rows for rows in found if rows]
        in_time = [100 * fmean(row.attainment for row in rows) for rows in found]
        panel.line(arm, in_time, [100 * fmean(row.accuracy for row in rows) for rows in found])
    panel.axes.set_xlabel(f"in time, %, at the rate of load {CAPS_AT:g}")
    panel.axes.set_ylabel("right, %")


def _memory(panel: _Panel) -> None:
    for arm in (arm for arm in REMEMBERING if arm in panel.plan.arms):
        found = {memory: panel.rows.with_memory(arm, CAPS_AT, memory) for memory in panel.plan.memories}
        shares = [100 * memory for memory, rows in found.items() if rows]
        panel.line(arm, shares, [100 * fmean(row.attainment for row in rows) for rows in found.values() if rows])
    panel.axes.set_xlabel(f"memory for keys and values, %, at the rate of load {CAPS_AT:g}")
    panel.axes.set_ylabel("in time, %")
