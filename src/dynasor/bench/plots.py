"""What is drawn on each figure: tokens-to-accuracy, and tokens saved. Knows estimates; computes and saves nothing."""

from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

from dynasor.bench.comparison import Comparison, Series, tokens_to_accuracy
from dynasor.bench.wording import broken, percent, problems
from dynasor.metrics.intervals import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import ErrorbarContainer
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 12.0, 7.5  # inches

# Okabe and Ito's colours, which the colour-blind tell apart, without their yellow, which vanishes on white.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_DASHES = ("-", "--", "-.", ":")
_INK, _GREY, _PALE = "#222222", "#666666", "#e4e4e4"
_CORNERS = ((1, -1), (-1, 1), (1, 1), (-1, -1))
_LEGEND_CHARACTERS = 112  # what fits side by side below the axes
_LABEL_CHARACTERS = 34
_TITLE_CHARACTERS = 90


def draw_tokens_to_accuracy(figure: "Figure", comparison: Comparison) -> None:
    """Accuracy over tokens: a line for each policy, a marker for each cap, error bars both ways."""
    figure.set_size_inches(WIDTH, HEIGHT)
    axes = figure.add_subplot()
    series = tokens_to_accuracy(comparison)
    with_caps = len({point.cap for one in series for point in one.points}) > 1
    lines: list[Any] = [_line(axes, one, place, with_caps=with_caps) for place, one in enumerate(series)]
    _dress(axes, "Accuracy against generated tokens", comparison, "; at each point: its cap" * with_caps)
    axes.set_xlabel("generated tokens per problem", labelpad=8)
    axes.set_ylabel("accuracy, %", labelpad=8)
    axes.set_xlim(left=0.0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(visible=True, color=_PALE)
    _legend(figure, lines, [one.label for one in series])


def draw_tokens_saved(figure: "Figure", comparison: Comparison) -> None:
    """Tokens saved: a bar with its interval for each row that has a baseline."""
    bars = [(row.label, row.saved) for row in comparison.rows if row.saved and not isnan(row.saved.value)]
    figure.set_size_inches(WIDTH, 2.0 + 0.65 * len(bars))
    axes = figure.add_subplot()
    against = comparison.named_baseline or "even allocation"
    _dress(axes, f"Generated tokens saved, against {against}", comparison)
    for place, (_, share) in enumerate(bars):
        _bar(axes, place, share)
    axes.set_yticks(range(len(bars)), [broken(label, _LABEL_CHARACTERS) for label, _ in bars], parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.axvline(0.0, color=_INK, linewidth=1.0)
    axes.margins(x=0.36)  # room for the figures beside the bars
    axes.set_xlim(right=max(1.0, axes.get_xlim()[1]))
    axes.set_xlabel("tokens saved, %", labelpad=8)
    axes.grid(visible=True, axis="x", color=_PALE)


def _line(axes: "Axes", series: Series, place: int, *, with_caps: bool) -> "ErrorbarContainer":
    colour = _COLOURS[place % len(_COLOURS)]
    tokens = [point.tokens for point in series.points]
    accuracy = [_hundredfold(point.accuracy) for point in series.points]
    x, y = [estimate.value for estimate in tokens], [estimate.value for estimate in accuracy]
    line = axes.errorbar(
        x,
        y,
        xerr=_errors(tokens),
        yerr=_errors(accuracy),
        color=colour,
        marker=_MARKERS[place % len(_MARKERS)],
        linestyle=_DASHES[place // len(_COLOURS) % len(_DASHES)],
        markersize=9,
        linewidth=2.2,
        elinewidth=1.4,
        capsize=3,
    )
    for bar in (*line[1], *line[2]):
        bar.set_alpha(0.5)  # where policies are close, the lines must stand out from the bars
    if with_caps:
        _name_caps(axes, series, (x, y), place)
    return line


def _name_caps(axes: "Axes", series: Series, at: tuple[list[float], list[float]], place: int) -> None:
    """Each series has its own corner beside the points, so that close points keep their names apart."""
    right, up = _CORNERS[place % len(_CORNERS)]
    for point, x, y in zip(series.points, *at, strict=True):
        axes.annotate(
            "" if point.cap is None else str(point.cap),
            (x, y),
            (8 * right, 8 * up),
            textcoords="offset points",
            horizontalalignment="left" if right > 0 else "right",
            verticalalignment="bottom" if up > 0 else "top",
            color=_COLOURS[place % len(_COLOURS)],
            fontsize=12,
        )


def _bar(axes: "Axes", place: int, share: Estimate) -> None:
    bar = _hundredfold(share)
    below, above = _errors([bar])
    axes.barh(place, bar.value, height=0.56, color=_COLOURS[4])
    axes.errorbar(bar.value, place, xerr=[below, above], color=_INK, elinewidth=1.5, capsize=4)
    forward = bar.value >= 0
    axes.annotate(
        percent(share),
        (bar.value + above[0] if forward else bar.value - below[0], place),
        (8 if forward else -8, 0),
        textcoords="offset points",
        verticalalignment="center",
        horizontalalignment="left" if forward else "right",
    )


def _dress(axes: "Axes", title: str, comparison: Comparison, remark: str = "") -> None:
    """Title, a line that says what is shown, and no frame where it says nothing."""
    axes.set_title(broken(title, _TITLE_CHARACTERS), loc="left", fontsize=17, color=_INK, pad=34, parse_math=False)
    shown = f"{problems(comparison.problem_count)}; error bars: 95 % intervals{remark}"
    axes.annotate(shown, (0.0, 1.0), (0, 12), xycoords="axes fraction", textcoords="offset points", color=_GREY)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)


def _legend(figure: "Figure", lines: "Sequence[Any]", labels: Sequence[str]) -> None:
    """Below the axes, where a long name has room and no point is covered."""
    longest = max(map(len, labels), default=0)
    legend = figure.legend(
        lines,
        labels,
        loc="outside lower center",
        ncols=max(1, min(len(labels), _LEGEND_CHARACTERS // (longest + 6))),
        frameon=False,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _hundredfold(share: Estimate) -> Estimate:
    return Estimate(100 * share.value, 100 * share.low, 100 * share.high)


def _errors(estimates: Sequence[Estimate]) -> tuple[list[float], list[float]]:
    """The lengths of the bars below and above; zero where an interval has no bounds."""
    below = [0.0 if isnan(e.low) else max(0.0, e.value - e.low) for e in estimates]
    return below, [0.0 if isnan(e.high) else max(0.0, e.high - e.value) for e in estimates]
