"""The figure of a calibration: accuracy lost against tokens, every tested candidate, the tolerance, and the choice."""

from math import isnan
from typing import TYPE_CHECKING

from dynasor.calibration.calibrate import Calibration, Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PASSED, _FAILED, _CHOSEN = ("#0072B2", "o"), ("#999999", "x"), ("#D55E00", "*")
_GREY, _PALE = "#666666", "#e4e4e4"
_SIZE = (12.0, 6.5)  # inches


def draw_losses(figure: "Figure", found: Calibration) -> None:
    """Every candidate at the tokens that it takes: what it lost, and up to where its loss was shown to be bounded."""
    figure.set_size_inches(*_SIZE)
    axes = figure.add_subplot()
    passed = [trial for trial in found.trials if trial.passed and trial is not found.chosen]
    failed = [trial for trial in found.trials if not trial.passed]
    for trials, (colour, marker), name, size in (
        (passed, _PASSED, "passed", 7.0),
        (failed, _FAILED, "not shown to keep it", 7.0),
        ([found.chosen], _CHOSEN, "chosen", 17.0),
    ):
        if trials:
            _points(axes, trials, colour, marker, name, size)
    tolerance = 100 * found.promise.tolerance
    axes.axhline(tolerance, color=_GREY, linestyle="--", linewidth=1.2, label=f"tolerance, {tolerance:g} points")
    _dress(axes, found)


def _points(axes: "Axes", trials: list[Trial], colour: str, marker: str, name: str, size: float) -> None:
    losses = [100 * trial.loss for trial in trials]
    above = [max(0.0, 100 * (trial.bound - trial.loss)) for trial in trials]
    axes.errorbar(
        [_tokens(trial) for trial in trials],
        losses,
        yerr=[[0.0] * len(trials), above],
        color=colour,
        marker=marker,
        markersize=size,
        linestyle="",
        elinewidth=1.2,
        capsize=3,
        label=name,
    )


def _tokens(trial: Trial) -> float:
    """Of even allocation's, in per cent."""
    saved = trial.saving.value
    return 100.0 if isnan(saved) else 100 * (1 - saved)


def _dress(axes: "Axes", found: Calibration) -> None:
    axes.set_title("Accuracy lost against tokens", loc="left", fontsize=17, pad=34)
    shown = f"{found.tested_count:,} problems tested; bars: what the loss does not exceed, as surely as asked for"
    axes.annotate(shown, (0.0, 1.0), (0, 12), xycoords="axes fraction", textcoords="offset points", color=_GREY)
    axes.set_xlabel("tokens, % of even allocation's", labelpad=8)
    axes.set_ylabel("accuracy lost, points", labelpad=8)
    axes.set_xlim(0, 103)
    axes.grid(visible=True, color=_PALE)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
