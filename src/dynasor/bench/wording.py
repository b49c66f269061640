"""Figures as people read them. Knows estimates and comparisons; knows no terminal and no page."""

import re
from collections.abc import Callable, Mapping
from math import isnan

from dynasor.bench.comparison import Comparison
from dynasor.bench.rows import Baseline, Row
from dynasor.metrics.intervals import Estimate

NOTHING = "–"

_PIECE = re.compile(r"(?:[^ ,:+]| (?=\d))+[ ,:+]?|[ ,:+]")  # a number stays with the word before it

_MARKS = {Baseline.RECORDED: "*", Baseline.ESTIMATED: "†"}
_NOTES = {
    Baseline.RECORDED: "* against what even allocation takes on the same problems according to the recording",
    Baseline.ESTIMATED: "† against an estimate of even allocation: the cap times the mean tokens of the drawn branches",
}


def percent(share: Estimate | None) -> str:
    """A share with its interval: `89.2 % [87.1, 91.0]`."""
    return _with_interval(share, lambda value: _rounded(100 * value, ".1f"), " %")


def points(difference: Estimate | None) -> str:
    """A difference of shares in percentage points: `-0.3 [-1.0, +0.4]`."""
    return _with_interval(difference, lambda value: _rounded(100 * value, "+.1f"))


def amount(estimate: Estimate | None) -> str:
    """A number of tokens or branches with its interval: `1,234 [1,100 to 1,400]`."""
    return _with_interval(estimate, count, between=" to ")


def count(number: float) -> str:
    """A number with thousands separators, and one decimal below a hundred: `12,345`, `7.3`."""
    if isnan(number):
        return NOTHING
    return f"{number:,.0f}" if abs(number) >= 100 or number == round(number) else f"{number:,.1f}"


def seconds(duration_s: float | None) -> str:
    """`12.3 s`; a dash where there is none to tell, as for a recording."""
    return f"{duration_s:.3g} s" if duration_s else NOTHING


def problems(number: int) -> str:
    """`1 problem`, `1,319 problems`."""
    return f"{count(number)} problem{'s' * (number != 1)}"


def saved(row: Row) -> str:
    """The share of tokens saved; a mark tells that it is not against another row (see `notes`)."""
    if row.baseline is Baseline.ITSELF:
        return "baseline"
    value, bracket, interval = percent(row.saved).partition(" [")
    return f"{value}{_MARKS.get(row.baseline, '')}{bracket}{interval}"


def shares(stops: Mapping[str, float]) -> str:
    """Shares by name: `certain 62 %, cap 38 %`."""
    return ", ".join(f"{name} {_rounded(100 * share, '.0f')} %" for name, share in stops.items())


def notes(comparison: Comparison) -> list[str]:
    """What must be known to read the table, a sentence each."""
    shared = f"{problems(comparison.problem_count)} that every run has finished"
    if comparison.left_out_count:
        shared += f"; left out, as only some have finished them: {count(comparison.left_out_count)}"
    baseline = comparison.named_baseline or "even allocation at the same cap and seed"
    used = {row.baseline for row in comparison.rows}
    return [
        f"{shared}.",
        *_judged(comparison),
        f"Saved, gained and changed: against {baseline}. In brackets: 95 % intervals over problems.",
        *(f"{text}." for kind, text in _NOTES.items() if kind in used),
    ]


def broken(label: str, width: int) -> str:
    """A label in lines of at most `width` where it has a comma, a colon, a plus or a space to be broken after."""
    lines = [""]
    for piece in _PIECE.findall(label):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def _judged(comparison: Comparison) -> list[str]:
    if comparison.judged_count == comparison.problem_count:
        return []
    if not comparison.judged_count:
        return ["No right answers are known, so there is no accuracy."]
    return [f"Accuracy is over the {problems(comparison.judged_count)} with a right answer that is known."]


def _with_interval(
    estimate: Estimate | None, written: Callable[[float], str], unit: str = "", between: str = ", "
) -> str:
    if estimate is None or isnan(estimate.value):
        return NOTHING
    value = f"{written(estimate.value)}{unit}"
    if isnan(estimate.low) or isnan(estimate.high):
        return value
    return f"{value} [{written(estimate.low)}{between}{written(estimate.high)}]"


def _rounded(value: float, form: str) -> str:
    """Write a number, and zero without a sign, whatever was rounded to it."""
    text = format(value, form)
    return text if float(text) else text.lstrip("+-")
