"""The tables of the study of signals: lines of JSON, and the overview over all workloads. The page is beside it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path
from statistics import fmean, median
from typing import Any

import msgspec

from dynasor.bench.signals_rules import NO_SIGNAL, ORACLE, TOLERANCE
from dynasor.bench.signals_study import WorkloadStudy
from dynasor.errors import UsageError
from dynasor.metrics.intervals import Estimate

ROWS = "rows.jsonl"
_OPTIONAL = ("kendall_less_entropy", "saved_less_entropy")


@dataclass(frozen=True, slots=True)
class Overview:
    """One signal over all workloads where it was recorded or could be fitted.

    Attributes:
        pearson, kendall, apart: means over the workloads.
        stronger, weaker: workloads where Kendall's lies above or below entropy's, the interval leaving zero out.
        saved: the median over the workloads.
        saves_more, saves_less: the same of tokens saved.
        loses: workloads where more accuracy than the tolerance is lost, the interval leaving the tolerance out.
    """

    signal: str
    workloads: int
    pearson: float
    kendall: float
    apart: float
    stronger: int
    weaker: int
    saved: float
    saves_more: int
    saves_less: int
    loses: int


def write_rows(studies: Iterable[WorkloadStudy], origin: Mapping[str, object], directory: Path) -> None:
    """`rows.jsonl`, whose first line tells where it came from; every other names its workload and its kind."""
    directory.mkdir(parents=True, exist_ok=True)
    lines = [dict(origin), *(line for study in studies for line in _lines(study))]
    (directory / ROWS).write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))


def read_rows(directory: Path) -> tuple[dict[str, object], list[WorkloadStudy]]:
    """Where the rows that are there came from, and the studies that they were written from.

    Raises:
        UsageError: there are none, or they were written by another version.
    """
    path = directory / ROWS
    try:
        origin, *lines = map(msgspec.json.decode, path.read_bytes().splitlines())
        names = dict.fromkeys(line["workload"] for line in lines)
        return origin, [_study([line for line in lines if line["workload"] == name]) for name in names]
    except OSError as fault:
        raise UsageError(f"cannot read {path}: {fault.strerror}; leave --redraw out to study anew") from fault
    except (msgspec.MsgspecError, LookupError, ValueError) as fault:
        raise UsageError(f"{path} is not of this version ({fault}); leave --redraw out to study anew") from fault


def overview(studies: Sequence[WorkloadStudy], tolerance: float = TOLERANCE) -> list[Overview]:
    """Signals in the order in which they are first met, between the one cap for all and the oracle."""
    names = dict.fromkeys(rule.signal for study in studies for rule in study.rules)
    signals = [name for name in names if name not in (NO_SIGNAL, ORACLE)]
    return [_overview(name, studies, tolerance) for name in (NO_SIGNAL, *signals, ORACLE) if name in names]


def above(difference: Estimate | None) -> bool:
    """Whether the whole interval lies above zero."""
    return difference is not None and difference.low > 0


def below(difference: Estimate | None) -> bool:
    """Whether the whole interval lies below zero."""
    return difference is not None and difference.high < 0


def _lines(study: WorkloadStudy) -> Iterator[dict[str, object]]:
    about: dict[str, object] = {"workload": study.name}
    if study.left_out:
        yield about | {"kind": "left out", "why": study.left_out}
        return
    sizes = {"cap": study.cap, "problems": study.problems, "questions": study.questions}
    yield about | {"kind": "workload", **sizes, "unfitted": study.unfitted, "even": study.even}
    for kind, rows in (
        ("zone", study.zones),
        ("detection", study.detections),
        ("correlation", study.correlations),
        ("rule", study.rules),
    ):
        yield from (about | {"kind": kind} | msgspec.to_builtins(row) for row in rows)
    yield from (about | {"kind": "curve", "signal": name, "points": p} for name, p in (study.curves or {}).items())
    yield about | {"kind": "programs", "counted": study.programs}


def _study(lines: Sequence[dict[str, Any]]) -> WorkloadStudy:
    """One study from its lines; a figure that was not a number is null in JSON."""
    by_kind: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        by_kind[line["kind"]].append(line)
    if left_out := by_kind["left out"]:
        return WorkloadStudy(name=left_out[0]["workload"], left_out=left_out[0]["why"])
    (head,), (programs,) = by_kind["workload"], by_kind["programs"]
    figures = {name: head[name] for name in ("cap", "problems", "questions", "unfitted", "even")}
    rows = {f"{kind}s": _figures(by_kind[kind]) for kind in ("zone", "detection", "correlation", "rule")}
    curves = {line["signal"]: line["points"] for line in by_kind["curve"]}
    whole = {"name": head["workload"], "curves": curves, "programs": programs["counted"], **figures, **rows}
    return msgspec.convert(whole, WorkloadStudy)


def _figures(found: Any) -> Any:
    """The same with nan in place of null, save for whole estimates that there are none of."""
    if isinstance(found, list):
        return [_figures(each) for each in found]
    if isinstance(found, dict):
        return {
            name: nan if value is None and name not in _OPTIONAL else _figures(value) for name, value in found.items()
        }
    return found


def _overview(name: str, studies: Sequence[WorkloadStudy], tolerance: float) -> Overview:
    rules = [rule for study in studies for rule in study.rules if rule.signal == name]
    found = [row for study in studies for row in study.correlations if row.signal == name]
    return Overview(
        signal=name,
        workloads=len(rules),
        pearson=_mean([row.pearson.value for row in found]),
        kendall=_mean([row.kendall.value for row in found]),
        apart=_mean([row.apart for row in found]),
        stronger=sum(above(row.kendall_less_entropy) for row in found),
        weaker=sum(below(row.kendall_less_entropy) for row in found),
        saved=median(rule.saved.value for rule in rules),
        saves_more=sum(above(rule.saved_less_entropy) for rule in rules),
        saves_less=sum(below(rule.saved_less_entropy) for rule in rules),
        loses=sum(rule.accuracy_difference.high < -tolerance for rule in rules),
    )


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not isnan(value)]
    return fmean(known) if known else nan
