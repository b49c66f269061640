"""The page of the online evaluation on a real engine: how it was done, what was reached, and tables."""

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean

from dynasor.bench.online_arms import OURS, PAPER
from dynasor.bench.online_goals import MOST_RATE, RATE, SCALE
from dynasor.bench.online_live_arms import ADAPTED, ARMS, BASELINES, DYNASOR, LPM, live_arm
from dynasor.bench.online_live_figures import BLOCK, Drawn, LiveFigures, quantile
from dynasor.bench.online_live_rows import LiveFacts, LiveRow
from dynasor.bench.online_live_study import FLOOR, LiveStudy
from dynasor.bench.online_runs import BASE

PLOT = "online-vllm.png"

_METHOD = """# Online, on a real vLLM

Programs of self-consistency over the built-in word problems arrive as a Poisson process at a real vLLM server on the
CPU, with the built-in model and a deadline for each program (`dynasor bench online --engine vllm`; paper 6.3, 6.5).
Here, **when** is measured; the same evaluation over answers of large models, in modelled time, is
[online](online.md).

**Servers.** Three run side by side, all on one core, and one of them works at a time: vLLM as it is (*stock*); the same
with `--scheduling-policy priority`; the same with the scheduler inside (*plug-in*). Each computes {slots} sequences at
a time. The baselines LPM and gang are orderings of the plug-in, with even allocation: so they decide inside the engine
with each step, as SGLang's and Parrot's do, and are not held up by a client. LPM takes the prompt of a program that has
begun for cached. *Dynasor* sends the plug-in each program's name and estimate; *by priority*, it sends stock vLLM the
estimate alone. The arms that go by deadlines are the dispatcher in front of stock vLLM, as `dynasor run --deadline`
is. The prefix cache and whatever was learned of lengths begin empty at every point.

**Deadlines** (6.1): SLO scale × difficulty factor × base deadline. The base deadline is {base:g} times what a program
takes that has the engine to itself, under even allocation. Difficulty goes by thirds of the problems, by how often
recorded samples are right; the factors are {factors}. A program's latency counts from the instant at which it was to
come.

**Problems.** A seed has its own half of the problems that come, and its own arrivals, the same for all arms. The
certaindex threshold is chosen by replay of recorded samples of the other half; `decided+lasting` needs no choice.
Load is the rate over what even allocation can serve, measured with a burst before all else. All arms are measured at
one load before the next one, in turning order.

**Intervals** are 95 %, over programs: {block} that came one after another are drawn together, the same for all arms.
They say how sure a figure is under these arrivals, not under others; seeds are taken together. The **sustained rate**
is where attainment falls below 90 %, between the rates that were tried (≥ where it never did); an arm is not measured
at greater rates once fewer than {floor:.0f} % are in time. The **tightest scale** is the least at which 90 % are.

**Noise.** *Steps* are the engine's own. *ms a step* and *waited*, the share of its time in which the thread that
computes was ready to run and had no core, tell a slow machine from a slow arm. *Strict turns* are those of the
round-robin scheduling policy: without them, an engine that waits by yielding its core may keep its client from it for
seconds.
"""


def live_page(study: LiveStudy, facts: LiveFacts) -> Iterator[str]:
    """Its lines."""
    plan, figures = study.plan, LiveFigures(study.mine())
    factors = ", ".join(f"{factor:.2f}" for factor in facts.factors)
    yield _METHOD.format(slots=facts.slots, base=BASE, factors=factors, block=BLOCK, floor=100 * FLOOR)
    yield from (f"- {name}: `{value}`" for name, value in study.rows.origins[-1].provenance.items())
    yield f"- rows: {len(study.mine())}, in `{study.rows.path}`; {plan.programs} programs a point, cap {facts.cap}"
    yield f"- seeds: {len(figures.seeds)}, each measured in whole"
    yield (
        f"- calibration: {facts.capacity:.3g} programs/s of {facts.tokens:.0f} tokens; alone {facts.alone_s:.2f} s,"
        f" base deadline {facts.base_s:.2f} s; {facts.step_ms:.1f} ms and {facts.step_tokens:.0f} tokens a step\n"
    )
    yield "## The paper's figures as goals\n"
    yield from _goals(figures, plan.fixed[-1])
    yield f"\n![attainment against rate and scale]({PLOT})\n"
    yield "## Rates and scales\n"
    yield from rate_table(figures, plan.arms, plan.fixed)
    for name in (arm.name for arm in ARMS if arm.name in plan.arms and arm.side in (PAPER, ADAPTED, OURS)):
        yield f"\n{name}, against each baseline:\n"
        yield from _ratio_table(figures, name, [each for each in BASELINES if each in plan.arms], plan.fixed)
    yield "\n## In time, %, at each load\n"
    yield from _attainment_table(figures, plan.arms, plan.loads)
    for load in plan.fixed:
        yield f"\n## At load {load:g}\n"
        yield from _latency_table(figures, plan.arms, load)
        yield ""
        yield from _work_table(figures, plan.arms, load)
    yield "\n## Arms\n"
    yield from _arm_table(figures, plan.arms)


def _goals(figures: LiveFigures, load: float) -> Iterator[str]:
    yield "| goal | reached | here |"
    yield "|---|---|---|"
    for other in BASELINES:
        rate = figures.sustained(DYNASOR).over(figures.sustained(other))
        more = " or more" if figures.is_sustained_throughout(DYNASOR) else ""
        yield f"| {RATE:g} to {MOST_RATE:g} x the rate of {other} | {_met(rate, RATE)} | {shown(rate)}{more} |"
    for other in BASELINES:
        scale = figures.tightest(other, load).over(figures.tightest(DYNASOR, load))
        yield f"| up to {SCALE:g} x tighter than {other}, load {load:g} | {_met(scale, SCALE)} | {shown(scale)} |"


def rate_table(figures: LiveFigures, arms: Sequence[str], loads: Sequence[float]) -> Iterator[str]:
    """Sustained rates, the tightest scales, and what they cost."""
    scales = " | ".join(f"scale, load {load:g}" for load in loads)
    yield f"| arm | programs/s at P90 | {scales} | tokens | right % |"
    yield "|---|" + "---|" * (len(loads) + 3)
    for arm in arms:
        more = "≥ " if figures.is_sustained_throughout(arm) else ""
        tightest = " | ".join(shown(figures.tightest(arm, load)) for load in loads)
        tokens = figures.mean(arm, loads[0], lambda row: row.work.tokens / len(row.latency_s))
        right = 100 * figures.mean(arm, loads[0], lambda row: fmean(row.right))
        yield f"| {_named(arm)} | {more}{shown(figures.sustained(arm))} | {tightest} | {_short(tokens)} | {right:.1f} |"


def _ratio_table(figures: LiveFigures, arm: str, others: Sequence[str], loads: Sequence[float]) -> Iterator[str]:
    yield f"| | {' | '.join(others)} |"
    yield "|---|" + "---|" * len(others)
    rates = (shown(figures.sustained(arm).over(figures.sustained(other))) for other in others)
    yield f"| times the rate | {' | '.join(rates)} |"
    for load in loads:
        own = figures.tightest(arm, load)
        scales = (shown(figures.tightest(other, load).over(own)) for other in others)
        yield f"| times tighter, load {load:g} | {' | '.join(scales)} |"


def _attainment_table(figures: LiveFigures, arms: Sequence[str], loads: Sequence[float]) -> Iterator[str]:
    yield "| arm | " + " | ".join(f"{load:g}" for load in loads) + " |"
    yield "|---|" + "---|" * len(loads)
    for arm in arms:
        cells = (100 * figures.attainment(arm, load).value if figures.at(arm, load) else None for load in loads)
        yield f"| {_named(arm)} | " + " | ".join("–" if cell is None else f"{cell:.1f}" for cell in cells) + " |"


def _steps(row: LiveRow) -> Sequence[float]:
    return row.latency_steps


def _seconds(row: LiveRow) -> Sequence[float]:
    return row.latency_s


def _latency_table(figures: LiveFigures, arms: Sequence[str], load: float) -> Iterator[str]:
    yield "| arm | mean s | P50 | P90 | P99 | mean steps | P50 | P90 | P99 |"
    yield "|---|" + "---|" * 8
    for arm in (arm for arm in arms if figures.at(arm, load)):
        cells: list[str] = []
        for column in (_seconds, _steps):
            values = figures.pooled(arm, load, column)
            cells += map(_short, (fmean(values), *(quantile(values, share) for share in (0.5, 0.9, 0.99))))
        yield f"| {_named(arm)} | {' | '.join(cells)} |"


_WORK: Sequence[tuple[str, Callable[[LiveRow], float]]] = (
    ("tokens/s", lambda row: row.work.tokens / row.work.wall_s),
    ("steps", lambda row: row.work.steps),
    ("ms a step", lambda row: 1000 * row.work.wall_s / max(1, row.work.steps)),
    ("tokens a step", lambda row: row.work.tokens / max(1, row.work.steps)),
    ("prefix hits %", lambda row: 100 * row.work.hit_tokens / max(1, row.work.prompt_tokens)),
    ("waited %", lambda row: 100 * row.work.waited),
    ("given less %", lambda row: 100 * row.less / len(row.latency_s)),
)


def _work_table(figures: LiveFigures, arms: Sequence[str], load: float) -> Iterator[str]:
    yield f"| arm | {' | '.join(name for name, _ in _WORK)} |"
    yield "|---|" + "---|" * len(_WORK)
    for arm in (arm for arm in arms if figures.at(arm, load)):
        yield f"| {_named(arm)} | {' | '.join(_short(figures.mean(arm, load, figure)) for _, figure in _WORK)} |"


def _arm_table(figures: LiveFigures, arms: Sequence[str]) -> Iterator[str]:
    yield "| arm | server | ordering | allocation | |"
    yield "|---|---|---|---|---|"
    for arm in map(live_arm, arms):
        rows = [row for load in figures.loads(arm.name) for row in figures.at(arm.name, load)]
        policies = ", ".join(f"`{policy}`" for policy in dict.fromkeys(row.point.policy for row in rows))
        ways = ["in flight"] * arm.in_flight + ["less where it would be late"] * arm.due
        ordering = f"`{arm.ordering}`" if arm.ordering else "vLLM's"
        yield f"| {arm.name} | {arm.server} | {ordering} | {policies or arm.allocation} | {', '.join(ways)} |"


def live_terminal(figures: LiveFigures, arms: Sequence[str], load: float) -> Iterator[str]:
    """In 80 columns."""
    yield f"programs/s with 90 % in time, and at load {load:g}"
    heads = (("rate", 7), ("/LPM", 6), ("scale", 7), ("in time", 9), ("mean s", 8), ("steps", 7), ("tokens", 8))
    yield f"{'arm':<21}" + "".join(f"{name:>{width}}" for name, width in (*heads, ("right", 7)))
    reference = figures.sustained(LPM)
    for arm in arms:
        rate = figures.sustained(arm)
        seconds = figures.mean(arm, load, lambda row: fmean(row.latency_s))
        steps = figures.mean(arm, load, lambda row: fmean(row.latency_steps))
        tokens = figures.mean(arm, load, lambda row: row.work.tokens / len(row.latency_s))
        right = figures.mean(arm, load, lambda row: fmean(row.right))
        yield (
            f"{arm:<21}{_short(rate.value):>7}{_short(rate.over(reference).value):>6}"
            f"{_short(figures.tightest(arm, load).value):>7}{100 * figures.attainment(arm, load).value:>8.1f}%"
            f"{_short(seconds):>8}{steps:>7.0f}{tokens:>8.0f}{100 * right:>6.1f}%"
        )


def shown(found: Drawn) -> str:
    """A figure with its interval."""
    estimate = found.estimate
    if estimate.value != estimate.value:
        return "–"
    value = f"{estimate.value:.3g}"
    return value if estimate.low != estimate.low else f"{value} [{estimate.low:.3g}, {estimate.high:.3g}]"


def _met(found: Drawn, bar: float) -> str:
    return "?" if found.value != found.value else "yes" if found.value >= bar else "**no**"


def _named(arm: str) -> str:
    return {PAPER: f"**{arm}**", OURS: f"*{arm}*"}.get(live_arm(arm).side, arm)


def _short(value: float) -> str:
    return "–" if value != value else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
