"""The page, the lines and the figure of the study of drift.

matplotlib comes with the extra `report` and is imported when the figure is drawn. Its global state is left as it was.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from dynasor.bench.drift_study import HORIZON, NO_SHIFT, WATCHINGS, DriftRow
from dynasor.bench.policy_tables import percent
from dynasor.datasets.extras import optional

FIGURE = "shadows-until-alarm.png"
INTRODUCTION = f"""# Drift

How soon planted shifts are caught, and how often an alarm is raised without one. Every run divides the source's
problems anew (a shift to the hardest quarter: those that are not of it). On one half, 400 problems at most, a policy
is calibrated as `dynasor calibrate` does; the other half is the run without a shift, each problem once. With a shift,
problems are the target's from the first on, {HORIZON:,} programs at most; where the target has fewer, again in another
order. Hard problems are those on which all samples of the recording agree least; no label is looked at.

An alarm without a shift is false, and may come in 5 % of the runs at most. With a shift the accuracy test has something
to find only where *lost* is above the tolerance; that the effort test raises an alarm all the same is meant: the
problems are no longer those that the promise was made for.
"""


def write_drift(rows: Sequence[DriftRow], origin: Mapping[str, object], directory: Path, page: Path) -> None:
    """`rows.jsonl`, whose first line tells where it came from, the figure, and the page."""
    directory.mkdir(parents=True, exist_ok=True)
    page.parent.mkdir(parents=True, exist_ok=True)
    lines = [dict(origin), *(msgspec.to_builtins(row) for row in rows)]
    (directory / "rows.jsonl").write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    write_figure(rows, directory / FIGURE)
    page.write_text("\n".join(drift_page(rows, origin, directory)) + "\n", encoding="utf-8")


def drift_page(rows: Sequence[DriftRow], origin: Mapping[str, object], directory: Path) -> Iterator[str]:
    """The lines of the page."""
    yield INTRODUCTION
    yield from (f"- {name}: `{value}`" for name, value in origin.items())
    yield f"- rows: `{directory / 'rows.jsonl'}`; figure: `{directory / FIGURE}`\n"
    yield "## Without a shift\n"
    yield "| recording | calibrated on | programs of a run | watched | runs | with an alarm % | lost, points |"
    yield "|---|---|---|---|---|---|---|"
    yield from _lines(row for row in rows if row.shift == NO_SHIFT)
    yield "\n## With a shift\n"
    yield "Programs and shadow programs until the alarm: median / 90th percentile of the runs, – beyond the end.\n"
    yield (
        "| recording | shift | lost, points | watched | caught % | programs | shadow programs | alarms by |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    yield from (_shifted(row) for row in rows if row.shift != NO_SHIFT)
    yield "\n## Policies\n"
    yield "What was calibrated, with the number of runs; the three most frequent of each source.\n"
    for row in rows:
        if row.shift != NO_SHIFT and row.watching == WATCHINGS[0].name:
            told = ", ".join(f"`{_short(policy)}` {count}" for policy, count in row.policies.items())
            yield f"- {row.source}, {row.shift}: {told}"


def write_figure(rows: Sequence[DriftRow], path: Path) -> None:
    """A bar for each shift and way to watch: the median, with a line to the 90th percentile.

    Raises:
        MissingExtra: where matplotlib is not installed.
        OSError: where the file cannot be written.
    """
    matplotlib = optional("matplotlib", "drawing figures", "report")
    figures = optional("matplotlib.figure", "drawing figures", "report")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        figure = figures.Figure(dpi=100, layout="constrained", figsize=(10.0, 6.0))
        _draw(figure.add_subplot(), [row for row in rows if row.shift != NO_SHIFT])
        figure.savefig(path, format="png", metadata={"Software": None})


def _draw(axes: Any, rows: Sequence[DriftRow]) -> None:
    shifts = list(dict.fromkeys((row.source, row.shift) for row in rows))
    height = 0.8 / len(WATCHINGS)
    for place, (watching, colour) in enumerate(zip(WATCHINGS, ("#0072B2", "#D55E00", "#009E73"), strict=True)):
        mine = [row for row in rows if row.watching == watching.name]
        at = [shifts.index((row.source, row.shift)) + place * height for row in mine]
        medians = [row.programs[0] or HORIZON for row in mine]
        axes.barh(at, medians, height=0.9 * height, color=colour, label=watching.name)
        for row, y in zip(mine, at, strict=True):
            axes.plot([row.programs[0] or HORIZON, row.programs[1] or HORIZON], [y, y], color="#222222", linewidth=1.5)
    axes.set_yticks([n + height for n in range(len(shifts))], [f"{source}\n{shift}" for source, shift in shifts])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel(f"programs until the alarm: median, and a line to the 90th percentile; {HORIZON:,}: not caught")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.4, 1.14), ncols=1)


def _lines(rows: Iterable[DriftRow]) -> Iterator[str]:
    for row in rows:
        cells = [row.source, row.calibrated, row.length, row.watching, row.runs, percent(row.alarms, digits=1)]
        yield f"| {' | '.join(map(str, cells))} | {100 * row.loss:+.2f} |"


def _shifted(row: DriftRow) -> str:
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(row.reasons.items())) or "none"
    cells = [
        row.source,
        row.shift,
        f"{100 * row.loss:+.2f}",
        row.watching,
        percent(row.alarms, digits=1),
        _pair(row.programs),
        _pair(row.shadows),
        reasons,
    ]
    return f"| {' | '.join(cells)} |"


def _pair(counts: tuple[int | None, int | None]) -> str:
    return " / ".join("–" if count is None else str(count) for count in counts)


def _short(policy: str) -> str:
    return policy if len(policy) <= 80 else f"{policy[:77]}..."
