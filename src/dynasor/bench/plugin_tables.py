"""The page and the rows of the study of the scheduler inside vLLM."""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil, floor, nan, sqrt
from pathlib import Path
from statistics import mean, median

import msgspec

from dynasor.bench.plugin_rows import Cost, Measured, Point, Pressed, Rate, Window
from dynasor.metrics.intervals import Z95, Estimate

Rows = Sequence[Measured]
STOCK, OURS = "fcfs", "dynasor"
BAR = 0.02
"""How much throughput the plug-in may cost."""
_SPEEDS = (
    ("tokens, of the processor's time", "tokens", "cpu_s"),
    ("tokens, of wall time", "tokens", "wall_s"),
    ("steps, of the processor's time", "steps", "cpu_s"),
)

INTRODUCTION = """# The scheduler inside vLLM, against vLLM's own

vLLM's own scheduler classes without a model: every token takes one step, and figures in steps are exact and the same on
every machine. *fcfs* and *priority* are vLLM without the plug-in; clients send a priority once, with the request. The
other arms are orderings of the plug-in. *estimates*: clients send the tokens that they believe their program needs yet,
up to 20 % off. *history*: they send how many branches are left, and the plug-in learns how long the branches of a data
set are. *at arrival*: a request keeps the rank of its arrival. *aging*: patience 4.
"""
WORKLOAD = """
## Mean completion of programs, in engine steps

20 programs of 8 branches (four data sets of 15 to 90 tokens in the median, branches of 5 to 150), all there at the
first step, their requests shuffled, 8 places. *burst*: all branches at once; *rounds*: 4 times 2. *async*: vLLM's
asynchronous scheduler, two batches in flight. *worst ratio*: the finish of a program over its tokens, the worst of all
programs and seeds (finish-time fairness).
"""
SCENARIOS = {
    "victims": "30 blocks for three long programs and two short ones, which arrive last. In the order of gang+sjf, the"
    " last is who started last: a short program too.",
    "cache": "A program asks twice with a prompt of 480 tokens, of which 464 can be found again. Between, four others,"
    " which have ended, leave more behind than there is room for (64 blocks), while another request of it runs.",
    "aging": "A program of 8 times 200 tokens that arrives at step 200, in a stream of short ones that asks for 1.2"
    " times what there is, until step 3,000.",
}


def write_plugin(rows: Rows, origin: Mapping[str, object], directory: Path) -> None:
    """`rows.jsonl`, whose first line tells where it came from, and `README.md`."""
    directory.mkdir(parents=True, exist_ok=True)
    lines = [dict(origin), *({"part": type(row).__name__.lower()} | msgspec.to_builtins(row) for row in rows)]
    (directory / "rows.jsonl").write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    (directory / "README.md").write_text("\n".join(_page(rows, origin)) + "\n", encoding="utf-8")


def _page(rows: Rows, origin: Mapping[str, object]) -> Iterable[str]:
    yield INTRODUCTION
    yield from (f"- {name}: `{value}`" for name, value in origin.items())
    yield from steps_table([row for row in rows if isinstance(row, Point)])
    yield from _scenarios([row for row in rows if isinstance(row, Pressed)])
    yield from _cost_table([row for row in rows if isinstance(row, Cost)])
    yield from _window_table([row for row in rows if isinstance(row, Window)])
    yield from _rate_table([row for row in rows if isinstance(row, Rate)])


def steps_table(points: Sequence[Point]) -> Iterable[str]:
    """Arms against workloads; the mean over seeds, and the worst ratio of all in a burst."""
    if not points:
        return
    columns = sorted({(point.workload, point.in_flight) for point in points})
    yield WORKLOAD
    names = [f"{workload}, {'async' if in_flight > 1 else 'sync'}" for workload, in_flight in columns]
    yield _line(["arm", *names, "worst ratio (burst, sync)"])
    yield _line(["---", *["--:"] * (len(names) + 1)])
    for arm in dict.fromkeys(point.arm for point in points):
        own = [point for point in points if point.arm == arm]
        means = [
            mean(point.mean_steps for point in own if (point.workload, point.in_flight) == column) for column in columns
        ]
        worst = max(point.worst_ratio for point in own if (point.workload, point.in_flight) == columns[0])
        yield _line([arm, *(f"{steps:.1f}" for steps in means), f"{worst:.2f}"])


def _scenarios(rows: Sequence[Pressed]) -> Iterable[str]:
    for scenario in dict.fromkeys(row.scenario for row in rows):
        own = [row for row in rows if row.scenario == scenario]
        yield f"\n## {scenario.capitalize()}\n\n{SCENARIOS[scenario]}\n"
        yield _line(["arm", *own[0].figures])
        yield _line(["---", *["--:"] * len(own[0].figures)])
        yield from (_line([row.arm, *(f"{figure:,.0f}" for figure in row.figures.values())]) for row in own)


def _cost_table(costs: Sequence[Cost]) -> Iterable[str]:
    if not costs:
        return
    yield "\n## Time of an engine step, in microseconds\n"
    yield "The processor's time for the scheduler's part of a step, taking in what was generated included, with 64"
    yield "places taken; as many requests arrive as end. The arms take turns of some steps. *over*: the mean over that"
    yield "of vLLM's own in the same turns, with its 95 % interval. *arrival*: of one request, making it included.\n"
    yield _line(["waiting", "arm", "median", "p99", "mean", "over", "arrival"])
    yield _line(["--:", "---", "--:", "--:", "--:", "--:", "--:"])
    for cost in costs:
        figures = [f"{figure:,.0f}" for figure in (cost.median_us, cost.p99_us, cost.mean_us)]
        over = f"{cost.over_us:+,.0f} [{cost.low_us:+,.0f}, {cost.high_us:+,.0f}]" if cost.arm != STOCK else ""
        yield _line([f"{cost.waiting:,}", cost.arm, *figures, over, f"{cost.add_us:,.0f}"])


def _window_table(windows: Sequence[Window]) -> Iterable[str]:
    if not windows:
        return
    rounds = len({window.turn for window in windows})
    yield "\n## Throughput of a whole engine in one process\n"
    yield "The built-in model and vLLM's loop in one process, where the processor's time can be told: 128 requests in"
    yield f"64 places a window, {rounds} rounds of four windows of the same work, ABBA and BAAB. The ratio is ours over"
    yield "vLLM's own, the median over rounds, with its 95 % interval by ranks. Another order of the same work may take"
    yield "some steps more or fewer: steps a second are what the scheduler itself costs.\n"
    yield _line(["a second", "fcfs", "dynasor", "ratio", f"at most {100 * BAR:.0f} % less"])
    yield _line(["---", "--:", "--:", "--:", "---"])
    for name, done, taken in _SPEEDS:
        sums = {arm: (_round_sums(windows, arm, done), _round_sums(windows, arm, taken)) for arm in (STOCK, OURS)}
        speeds = {arm: [work / time for work, time in zip(*own, strict=True)] for arm, own in sums.items()}
        ratio = typical([own / stock for stock, own in zip(speeds[STOCK], speeds[OURS], strict=True)])
        shown = [f"{sum(work) / sum(times):,.0f}" for work, times in sums.values()]
        yield _line([name, *shown, _interval(ratio), _verdict(ratio)])


def _round_sums(windows: Sequence[Window], arm: str, field: str) -> list[float]:
    turns = sorted({window.turn for window in windows})
    return [sum(getattr(it, field) for it in windows if (it.arm, it.turn) == (arm, turn)) for turn in turns]


def typical(values: Sequence[float]) -> Estimate:
    """The median, with its 95 % interval by ranks: what disturbs one round in four moves neither."""
    ranked, half = sorted(values), Z95 * sqrt(len(values)) / 2
    low, high = floor(len(ranked) / 2 - half), ceil(len(ranked) / 2 + half)
    if low < 0 or high >= len(ranked):
        return Estimate(median(ranked), nan, nan)
    return Estimate(median(ranked), ranked[low], ranked[high])


def _verdict(ratio: Estimate) -> str:
    """What an interval decides; a bar that lies within it is not decided."""
    if ratio.low != ratio.low:
        return "?"
    return "yes" if ratio.low >= 1 - BAR else "**no**" if ratio.high < 1 - BAR else "not decided"


def _interval(ratio: Estimate) -> str:
    return f"{ratio.value:.4f} [{ratio.low:.4f}, {ratio.high:.4f}]"


def _rate_table(rates: Sequence[Rate]) -> Iterable[str]:
    if not rates:
        return
    yield "\n## Throughput of a real server on the CPU\n"
    yield f"Tokens a second at {rates[0].concurrency} requests at a time; windows of both servers in turns, ABBA."
    yield "*waited*: of the thread that computes, the share of its time in which it was ready to run and had no core.\n"
    yield _line(["arm", "median", "least", "most", "waited"])
    yield _line(["---", "--:", "--:", "--:", "--:"])
    speeds = {
        arm: [rate.tokens_per_s for rate in rates if rate.arm == arm] for arm in dict.fromkeys(r.arm for r in rates)
    }
    for arm, own in speeds.items():
        waited = mean(rate.waited for rate in rates if rate.arm == arm)
        yield _line([arm, *(f"{figure:,.0f}" for figure in (median(own), min(own), max(own))), f"{100 * waited:.1f} %"])
    if {STOCK, OURS} <= speeds.keys() and len(speeds[STOCK]) == len(speeds[OURS]) > 1:
        ratio = typical([own / stock for own, stock in zip(speeds[OURS], speeds[STOCK], strict=True)])
        verdict = f"at most {100 * BAR:.0f} % less: {_verdict(ratio)}"
        yield f"\nOurs over vLLM's own, window by window: {_interval(ratio)}; {verdict}."


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
