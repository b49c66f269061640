"""The tables of the online evaluation, for a page and for a terminal of 80 columns."""

from collections.abc import Callable, Iterator, Sequence

from dynasor.bench.online_arms import BASELINES, DYNASOR, MAIN, OURS, PAPER, REMEMBERING, arm_of
from dynasor.bench.online_figures import Figure, Measured, averaged, deciles, mean, ratio
from dynasor.bench.online_goals import EVEN_DYNASOR, times
from dynasor.bench.online_rows import Facts, OnlineRow
from dynasor.metrics.intervals import Estimate

Lines = Iterator[str]

COMPONENTS = (
    BASELINES[1],
    BASELINES[3],
    EVEN_DYNASOR,
    "LPM + certaindex",
    "gang for SJF",
    "with gang",
    "without aging",
    DYNASOR,
)
"""From LPM to Dynasor, as in the paper's Figs 10 and 11."""


def workload_table(facts: Sequence[Facts], programs: Sequence[int]) -> Lines:
    """What the workloads are."""
    yield "| recording | problems | tokens a sample | right | capacity, programs/s | alone, s | base, s | a run |"
    yield "|---|---|---|---|---|---|---|---|"
    for each, count in zip(facts, programs, strict=True):
        yield (
            f"| `{each.workload}` | {each.problems} | {each.samples_tokens:.0f} | {100 * each.single_accuracy:.0f} % |"
            f" {each.capacity:.3g} | {each.alone_s:.2f} | {each.base_s:.1f} | {count} programs |"
        )
    yield ""
    yield "| recording | always right | sometimes | never | deadline factors |"
    yield "|---|---|---|---|---|"
    for each in facts:
        shares = " | ".join(f"{100 * share:.0f} %" for share in each.shares.values())
        yield f"| `{each.workload}` | {shares} | {', '.join(f'{factor:.2f}' for factor in each.factors.values())} |"


def rate_table(rows: Measured, arms: Sequence[str], loads: Sequence[float]) -> Lines:
    """Sustained rates, and the tightest scales."""
    scales = " | ".join(f"scale, load {load:g}" for load in loads)
    yield f"| arm | programs/s at P90 | x {BASELINES[1]} | {scales} | tokens | right % |"
    yield "|---|---|---|" + "---|" * (len(loads) + 2)
    reference = rows.sustained(BASELINES[1])
    for arm in arms:
        found = rows.sustained(arm)
        more = "≥ " if rows.is_sustained_throughout(arm) else ""
        tightest = " | ".join(_estimate(mean(rows.tightest(arm, load))) for load in loads)
        at = rows.at(arm, loads[0])
        yield (
            f"| {_named(arm)} | {more}{_estimate(mean(found))} | {times(ratio(found, reference))} | {tightest} |"
            f" {averaged(at, _tokens):.0f} | {100 * averaged(at, _accuracy):.1f} |"
        )


def ratio_table(rows: Measured, load: float) -> Lines:
    """Dynasor, and ours, against every baseline: rates, and scales at a load."""
    yield f"| | {' | '.join(BASELINES)} |"
    yield "|---|" + "---|" * len(BASELINES)
    for arm in (DYNASOR, "+ in flight", "+ deadline-aware"):
        rates = (times(ratio(rows.sustained(arm), rows.sustained(other))) for other in BASELINES)
        yield f"| {arm}: times the rate | {' | '.join(rates)} |"
        scales = (times(ratio(rows.tightest(other, load), rows.tightest(arm, load))) for other in BASELINES)
        yield f"| {arm}: times tighter, load {load:g} | {' | '.join(scales)} |"


def latency_table(rows: Measured, arms: Sequence[str], load: float) -> Lines:
    """Latency, throughput, and what the cache held, at one load."""
    yield "| arm | mean s | P50 | P90 | P99 | in time % | tokens/s | busy % | prefix hits % | given less % |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for arm in arms:
        at = rows.at(arm, load)
        if at:
            seconds = " | ".join(_short(averaged(at, figure)) for figure in _LATENCIES)
            shares = " | ".join(f"{100 * averaged(at, figure):.1f}" for figure in (_busy, _hits, _less))
            speed = averaged(at, lambda row: row.tokens_per_s)
            yield f"| {_named(arm)} | {seconds} | {100 * averaged(at, _in_time):.1f} | {speed:.0f} | {shares} |"


def component_table(rows: Measured, load: float) -> Lines:
    """The paper's Figs 10 and 11."""
    reference = averaged(rows.at(COMPONENTS[0], load), _LATENCIES[0])
    yield f"| arm | mean s at load {load:g} | of LPM's | programs/s at P90 | of LPM's |"
    yield "|---|---|---|---|---|"
    for arm in COMPONENTS:
        seconds, rate = averaged(rows.at(arm, load), _LATENCIES[0]), rows.sustained(arm)
        share = times(ratio(rate, rows.sustained(COMPONENTS[0])))
        yield f"| {arm} | {_short(seconds)} | {seconds / reference:.2f} | {_short(mean(rate).value)} | {share} |"


def fairness_table(rows: Measured, arms: Sequence[str], load: float) -> Lines:
    """The paper's Fig. 14: latency over the tokens of even allocation, at every tenth of the programs."""
    yield "| arm | " + " | ".join(f"{10 * tenth} %" for tenth in range(1, 11)) + " |"
    yield "|---|" + "---|" * 10
    for arm in arms:
        if found := deciles(rows.at(arm, load)):
            yield f"| {_named(arm)} | " + " | ".join(_short(value) for value in found) + " |"


def cap_table(rows: Measured, caps: Sequence[int], load: float) -> Lines:
    """The paper's Fig. 9 (c): accuracy and attainment at other caps, under the same rate."""
    yield "| arm | " + " | ".join(f"cap {cap}" for cap in caps) + " |"
    yield "|---|" + "---|" * len(caps)
    for arm in MAIN:
        cells = [rows.at_cap(arm, load, cap) for cap in caps]
        if any(cells):
            yield f"| {arm} | " + " | ".join(_right_and_in_time(cell) for cell in cells) + " |"


def memory_table(rows: Measured, memories: Sequence[float], load: float) -> Lines:
    """The paper's Fig. 17: attainment and prefix hits with less memory for keys and values."""
    yield "| arm | " + " | ".join(f"{100 * memory:.0f} %" for memory in memories) + " |"
    yield "|---|" + "---|" * len(memories)
    for arm in REMEMBERING:
        for hints in (True, False) if arm == DYNASOR else (True,):
            cells = [rows.with_memory(arm, load, memory, hints=hints) for memory in memories]
            if any(cells):
                name = arm if hints else f"{arm}, no eviction hints"
                yield f"| {name} | " + " | ".join(map(_in_time_and_hits, cells)) + " |"


def terminal(rows: Measured, name: str, arms: Sequence[str], load: float) -> Lines:
    """One workload in 80 columns."""
    yield f"{name}: programs/s with 90 % in time, and at load {load:g}"
    yield f"{'arm':<22}{'rate':>8}{'/LPM':>6}{'scale':>7}{'mean s':>9}{'P99 s':>9}{'tokens':>8}{'right %':>9}"
    reference = rows.sustained(BASELINES[1])
    for arm in arms:
        at, rate = rows.at(arm, load), rows.sustained(arm)
        yield (
            f"{arm:<22}{_short(mean(rate).value):>8}{_short(ratio(rate, reference).value):>6}"
            f"{_short(mean(rows.tightest(arm, load)).value):>7}{_short(averaged(at, _LATENCIES[0])):>9}"
            f"{_short(averaged(at, _LATENCIES[3])):>9}{averaged(at, _tokens):>8.0f}"
            f"{100 * averaged(at, _accuracy):>9.1f}"
        )


def _figure(name: str) -> Figure:
    return lambda row: float(getattr(row, name))


_LATENCIES: tuple[Figure, ...] = tuple(map(_figure, ("mean_s", "p50_s", "p90_s", "p99_s")))
_tokens, _accuracy, _in_time = _figure("tokens"), _figure("accuracy"), _figure("attainment")
_busy, _hits, _less = _figure("utilisation"), _figure("prefix_hit_rate"), _figure("less")
_Cell = Callable[[Sequence[OnlineRow]], str]


def _right_and_in_time(cell: Sequence[OnlineRow]) -> str:
    return f"{100 * averaged(cell, _accuracy):.1f} / {100 * averaged(cell, _in_time):.1f}" if cell else "–"


def _in_time_and_hits(cell: Sequence[OnlineRow]) -> str:
    return f"{100 * averaged(cell, _in_time):.1f} / {100 * averaged(cell, _hits):.1f}" if cell else "–"


def _named(arm: str) -> str:
    return {PAPER: f"**{arm}**", OURS: f"*{arm}*"}.get(arm_of(arm).side, arm)


def _short(value: float) -> str:
    return "–" if value != value else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _estimate(found: Estimate) -> str:
    if found.value != found.value:
        return "–"
    value = f"{found.value:.3g}"
    return value if found.low != found.low else f"{value} [{found.low:.3g}, {found.high:.3g}]"
