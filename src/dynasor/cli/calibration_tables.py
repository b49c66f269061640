"""What a calibration came to: a table and a few sentences on the terminal, or JSON."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dynasor.bench.promise_page import shortened
from dynasor.bench.wording import broken, count, percent
from dynasor.calibration.calibrate import Calibration, Trial, in_all
from dynasor.calibration.guarantee import problems_needed
from dynasor.calibration.policy_file import Value

_LABEL = 46

ASSUMPTION = (
    "the problems are drawn as the recorded ones were, for the same model, algorithm and cap, and grants are spent in"
    " the same way"
)


def promised(found: Calibration) -> dict[str, Value]:
    """The promise, as it stands in the policy file."""
    saving = found.chosen.saving
    return {
        "tolerance_points": round(100 * found.promise.tolerance, 6),
        "confidence": found.promise.confidence,
        "saved_percent": round(100 * saving.value, 2),
        "saved_percent_low": round(100 * saving.low, 2),
        "saved_percent_high": round(100 * saving.high, 2),
        "lossless": not found.promised_more,
        "assumption": ASSUMPTION,
    }


def cautions(found: Calibration, left_out: int, cap: int) -> list[str]:
    """What must be known of a calibration, a sentence each: first of all, that there are too few problems."""
    notes = (
        [f"{count(left_out)} problems with fewer than {cap} samples, or unfinished, are left out"] if left_out else []
    )
    return notes if found.promised_more else [*notes, *_too_few(found)]


def print_calibration(found: Calibration, notes: Sequence[str], written: Sequence[Path]) -> None:
    """Print the candidates in the order in which they were tested, and the promise."""
    console = Console(highlight=False, markup=False)
    console.print(_table(found))
    promise = found.promise
    console.print(
        f"\npromised: at most {100 * promise.tolerance:g} points below even, with {100 * promise.confidence:g} %"
        f" confidence, where {ASSUMPTION}"
        f"\nexpected: {percent(found.chosen.saving)} of the tokens saved"
        f"\nfitted on {count(found.fitted_count)} problems, tested on {count(found.tested_count)} others"
    )
    for note in notes:
        console.print(f"note: {note}")
    console.print(f"wrote {', '.join(map(str, written))}")


def summary(found: Calibration, facts: Mapping[str, Value], notes: Sequence[str]) -> dict[str, object]:
    """All of it, for JSON."""
    return {
        "policy": found.chosen.candidate.text,
        "promise": promised(found),
        "problems_needed": found.needed_count,
        "notes": list(notes),
        "candidates": [_summed_up(trial) for trial in found.trials],
        "provenance": dict(facts),
    }


def _too_few(found: Calibration) -> Iterator[str]:
    promise, given = found.promise, found.fitted_count + found.tested_count
    least = in_all(problems_needed([0.0], promise) or 0)
    least_known = "a decided vote" if found.chosen.candidate.text == "decided" else "even allocation"
    yield (
        f"no more than {least_known} can be promised with {count(given)} problems: for {100 * promise.tolerance:g}"
        f" points at {100 * promise.confidence:g} % it takes {count(least)} where none loses anything"
    )
    if found.needed_count is not None and found.needed_count > least:
        yield f"as the safest candidate did here, about {count(found.needed_count)} problems would do"
    if found.needed_count is None:
        yield "nothing tried here loses so little that more problems would do; raise the tolerance"


def _table(found: Calibration) -> Table:
    table = Table(box=box.SIMPLE_HEAD, leading=1, show_edge=False, padding=(0, 1, 0, 0), header_style="")
    table.add_column("policy", overflow="fold")
    for heading in ("tokens\nsaved", "lost,\npoints", "at\nmost", ""):
        table.add_column(Text(heading), justify="right", no_wrap=True)
    for trial in found.trials:
        table.add_row(*map(Text, _cells(trial, is_chosen=trial is found.chosen)))
    return table


def _cells(trial: Trial, *, is_chosen: bool) -> list[str]:
    mark = "chosen" if is_chosen else "passed" if trial.passed else "failed"
    saved = percent(trial.saving).partition(" [")[0]
    lost, at_most = (f"{100 * figure:z.2f}" for figure in (trial.loss, trial.bound))
    return [broken(shortened(trial.candidate.text), _LABEL), saved, lost, at_most, mark]


def _summed_up(trial: Trial) -> dict[str, object]:
    return {
        "policy": trial.candidate.text,
        "saved": {"value": trial.saving.value, "low": trial.saving.low, "high": trial.saving.high},
        "loss": trial.loss,
        "bound": trial.bound,
        "p": trial.p,
        "passed": trial.passed,
    }
