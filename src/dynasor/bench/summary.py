"""A comparison for machines: plain names and numbers, ready to be written as JSON."""

from math import isnan

from dynasor.bench.comparison import Comparison, Point, tokens_to_accuracy
from dynasor.bench.rows import Row
from dynasor.metrics.intervals import Estimate

LAYOUT = 1


def summary(comparison: Comparison) -> dict[str, object]:
    """The figures by name; shares in [0, 1], tokens and seconds as they are, None where there is no figure."""
    return {
        "layout": LAYOUT,
        "problems": comparison.problem_count,
        "problems_left_out": comparison.left_out_count,
        "problems_judged": comparison.judged_count,
        "baseline": comparison.named_baseline or "even",
        "rows": [_row(row) for row in comparison.rows],
        "tokens_to_accuracy": [
            {"label": series.label, "points": [_point(point) for point in series.points]}
            for series in tokens_to_accuracy(comparison)
        ],
    }


def _row(row: Row) -> dict[str, object]:
    runs = row.group.runs
    return {
        "label": row.label,
        "runs": [str(run.path) for run in runs],
        "seeds": row.group.seeds,
        "settings": row.group.settings,
        "accuracy": _interval(row.accuracy),
        "tokens": _number(row.total_tokens),
        "tokens_per_problem": _interval(row.tokens),
        "compared_with": row.against or str(row.baseline),
        "tokens_saved": _interval(row.saved),
        "accuracy_gained": _interval(row.gained),
        "answers_changed": _interval(row.changed),
        "branches_per_problem": _number(row.branches),
        "mean_certaindex": _number(row.certaindex),
        "latency_s": _number(row.latency_s),
        "stopped_by": {reason: _number(share) for reason, share in row.stops.items()},
    }


def _point(point: Point) -> dict[str, object]:
    return {
        "cap": point.cap,
        "tokens_per_problem": _interval(point.tokens),
        "accuracy": _interval(point.accuracy),
    }


def _interval(estimate: Estimate | None) -> dict[str, float | None] | None:
    if estimate is None:
        return None
    return {"value": _number(estimate.value), "low": _number(estimate.low), "high": _number(estimate.high)}


def _number(figure: float | None) -> float | None:
    return None if figure is None or isnan(figure) else round(figure, 6)
