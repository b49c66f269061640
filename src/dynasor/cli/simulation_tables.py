"""What simulated runs came to: a table on the terminal, JSON, and a file of rows."""

from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dynasor.errors import UsageError
from dynasor.simulation.outcome import SimulatedRun

Figures = Mapping[str, float | int | None]
NamedRun = tuple[str, SimulatedRun]

_ROWS = (
    ("mean latency", "mean_s", "s"),
    ("P50", "p50_s", "s"),
    ("P90", "p90_s", "s"),
    ("P99", "p99_s", "s"),
    ("queueing, mean", "queueing_mean_s", "s"),
    ("done in time", "slo_attainment", "%"),
    ("latency per token at the cap, P90", "fairness_p90_ms_per_token", "ms"),
    ("accuracy", "accuracy", "%"),
    ("tokens a program", "tokens_per_program", ""),
    ("tokens a second", "tokens_per_s", ""),
    ("preemptions", "preemptions", ""),
    ("prompt tokens found in the cache", "prefix_hit_rate", "%"),
    ("time with steps running", "utilisation", "%"),
    ("tokens a step", "batch_mean", ""),
    ("asked again after a fault", "reissued", ""),
    ("virtual time", "duration_s", "s"),
)


def print_arms(runs: Sequence[NamedRun]) -> None:
    """Print a column for each run, and a row for each figure that any of them has."""
    console = Console(highlight=False, markup=False)
    found = [run.summary() for _, run in runs]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="")
    table.add_column(f"{len(runs[0][1].rows):,} programs" if runs else "")
    for name, _ in runs:
        table.add_column(Text(name), justify="right")
    for label, key, unit in _ROWS:
        if any(_is_there(figures, key) for figures in found):
            table.add_row(label, *(Text(_cell(figures[key], unit)) for figures in found))
    console.print(table)


def write_rows(runs: Sequence[NamedRun], origin: Mapping[str, object], directory: Path) -> None:
    """`rows.jsonl`: where it comes from, then the figures of each run, and a line for each of its programs.

    Raises:
        UsageError: where it cannot be written.
    """
    lines = [msgspec.json.encode(dict(origin))]
    for name, run in runs:
        lines.append(msgspec.json.encode({"run": name, "summary": run.summary()}))
        lines += [msgspec.json.encode({"run": name} | msgspec.to_builtins(row)) for row in run.rows]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "rows.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    except OSError as fault:
        raise UsageError(f"cannot write to {directory}: {fault.strerror}; choose another --out") from fault


def _is_there(figures: Figures, key: str) -> bool:
    """Whether a row says anything; that no replica died need not be said."""
    value = figures[key]
    return value is not None and not (key == "reissued" and not value)


def _cell(value: float | None, unit: str) -> str:
    if value is None or isnan(value):
        return "–"
    if unit == "%":
        return f"{100 * value:.1f} %"
    number = f"{value:,.0f}" if abs(value) >= 100 or (not unit and value == round(value)) else f"{value:.3g}"
    return f"{number} {unit}".rstrip()
