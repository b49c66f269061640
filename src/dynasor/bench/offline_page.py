"""The page of the offline evaluation: tables and plots, all of it made of rows. Nothing is computed here."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median

from dynasor.bench.offline_arms import OURS_TUNED
from dynasor.bench.offline_choice import CAUTION, TOLERATED
from dynasor.bench.offline_goals import behind, goals
from dynasor.bench.offline_rows import ORACLE, ArmRow, Result
from dynasor.bench.policy_tables import percent

ACCURACY_PLOT, TOKENS_PLOT, DIFFICULTY_PLOT, THRESHOLD_PLOT = (
    "offline-accuracy.png",
    "offline-tokens.png",
    "offline-difficulty.png",
    "offline-thresholds.png",
)
TABLE_4 = (
    "static 0.7 at 5",
    "static, fitted",
    "+ initial curve",
    "+ every 5 steps",
    "+ every step",
    "+ dynamic curve",
    "decided + dynamic curve",
    "decided + beta",
    "decided + lasting",
    OURS_TUNED,
)

INTRODUCTION = f"""# The offline evaluation of allocation policies

Self-consistency, replayed from recorded samples of real models (paper sections 3.2, 6.2, 6.4; Tables 2 and 4; Figures
3, 4, 8 and 12). Every policy answers every problem under the same seeded orders of its samples, in rounds.

- The problems are divided at random into a calibration half and an evaluation half, both ways, several times. Settings
  and curves are chosen on the one, everything is measured on the other. One rule for all families: the setting that
  saves most among those whose mean loss of accuracy, plus {CAUTION:g} standard error, is at most
  {100 * TOLERATED:g} points there. What is fitted is fitted to one quarter of the problems and tried on another, before
  it is fitted to the half. The standard error, and thresholds at two branches, were settled on after a look at the
  results on some of these recordings; the error holds for all families, the thresholds for the paper's and for ours.
- Brackets are 95 % intervals: paired bootstrap over problems, 1000 draws, orders and divisions averaged within one.
  They do not hold the chance of the division. A loss is significant where the difference's interval lies below zero.
- *saved* is the share of even allocation's tokens at the same cap. The *oracle* stops at the first branch from which on
  the majority is the final one. *{OURS_TUNED}* is chosen among `decided` joined with thresholds, curves, the odds that
  the leader stays (`beta`, `lasting`) and stopping by expected gain; *guaranteed* is what `dynasor calibrate` promises
  on the calibration half alone.
"""


def page(results: Sequence[Result], origin: Mapping[str, object]) -> Iterator[str]:
    """The lines of the page."""
    done = [result for result in results if not result.facts.left_out]
    yield INTRODUCTION
    yield from (f"- {name}: `{value}`" for name, value in origin.items())
    yield from _goals(results)
    yield from _workloads(done)
    yield from _overview(done)
    yield from _table_4(done)
    yield from _figures()
    for result in done:
        yield from _section(result)
    yield from _left_out(results)


def _goals(results: Sequence[Result]) -> Iterator[str]:
    yield "\n## Goals\n"
    yield from _table(
        ("goal", "found", ""),
        ((goal.text, goal.found, "met" if goal.met else "**missed**") for goal in goals(results)),
    )
    for goal in goals(results):
        if goal.reasons:
            yield f"\n*{goal.text}*, where it is missed:\n"
            yield from (f"- {reason}" for reason in goal.reasons)


def _workloads(results: Sequence[Result]) -> Iterator[str]:
    yield "\n## Workloads\n"
    yield "*easy*: right for good within five branches; *scaling*: right later; *impossible*: wrong at the cap, in % of"
    yield "programs. *r*: Pearson's correlation of certaindex at the fifth branch with the branches needed, of those"
    yield "right at the cap.\n"
    yield from _table(
        ("workload", "model", "problems", "caps", "easy %", "scaling %", "impossible %", "r"),
        (
            (
                result.facts.name,
                f"{result.facts.model}{', ' * bool(result.facts.remark)}{result.facts.remark}",
                f"{result.facts.problems:,}",
                ", ".join(str(cap) for cap in dict.fromkeys(row.cap for row in result.arms)),
                *(f"{100 * x:.1f}" for x in (result.facts.easy, result.facts.scaling, result.facts.impossible)),
                "–" if result.facts.correlation is None else f"{result.facts.correlation:+.2f}",
            )
            for result in results
        ),
    )


def _overview(results: Sequence[Result]) -> Iterator[str]:
    """Each family at its own best setting, at the largest cap."""
    yield "\n## Tokens at no significant loss\n"
    yield "Tokens saved in %, each policy at its best setting on the calibration half; **bold** where the loss is"
    yield "significant. *behind*: the neighbours' rules that ours is not ahead of.\n"
    names = (
        "static, fitted",
        "decided",
        OURS_TUNED,
        "guaranteed",
        "windows, fitted",
        "beta, fitted",
        "beta 0.95",
        ORACLE,
    )
    yield from _table(
        ("workload", "even, accuracy %", *names, "ours − even, points", "ours / oracle", "behind"),
        (_overview_cells(result, names) for result in results),
    )


def _overview_cells(result: Result, names: Sequence[str]) -> tuple[str, ...]:
    rows = result.at_largest()
    ours = rows[OURS_TUNED]
    return (
        result.facts.name,
        f"{100 * rows['even'].accuracy.value:.1f}",
        *(_saved(rows[name]) for name in names),
        percent(ours.difference, digits=2, sign="+"),
        f"{ours.times.value:.2f}",
        ", ".join(behind(result)) or "none",
    )


def _saved(row: ArmRow) -> str:
    bold = "**" * row.loses
    return f"{bold}{100 * row.saved.value:.1f}{bold}"


def _table_4(results: Sequence[Result]) -> Iterator[str]:
    yield "\n## Fine-grained allocation (paper Table 4)\n"
    yield "All workloads; the paper saves 11.0 % by the static threshold and 14.4 % by the dynamic curve (SC, MATH).\n"
    yield from _table(
        ("policy", "saved %, median", "mean", "accuracy − even, points, mean", "significant losses"),
        (_table_4_cells(name, [result.at_largest()[name] for result in results]) for name in TABLE_4 if results),
    )
    yield "\nWhat these cost in latency is measured live: [latency](latency.md).\n"


def _table_4_cells(name: str, rows: Sequence[ArmRow]) -> tuple[str, ...]:
    saved = [100 * row.saved.value for row in rows]
    lost = sum(100 * row.difference.value for row in rows) / len(rows)
    middle, mean = median(saved), sum(saved) / len(saved)
    return name, f"{middle:.1f}", f"{mean:.1f}", f"{lost:+.2f}", f"{sum(row.loses for row in rows)} of {len(rows)}"


def _figures() -> Iterator[str]:
    yield "\n## Figures"
    for plot, caption in (
        (ACCURACY_PLOT, "Accuracy against tokens a problem; points are caps (paper Fig. 8)."),
        (TOKENS_PLOT, "Tokens saved by each policy, at the largest cap."),
        (DIFFICULTY_PLOT, "Tokens a problem by difficulty, as a share of even allocation's."),
        (THRESHOLD_PLOT, "Static thresholds at five branches (paper Fig. 12)."),
    ):
        yield f"\n{caption}\n\n![{caption}]({plot})"


def _section(result: Result) -> Iterator[str]:
    facts = result.facts
    yield f"\n## {facts.name}\n\n{facts.task}; {facts.model}. Cap {facts.cap}, {facts.problems:,} problems.\n"
    rows = [row for row in result.arms if row.cap == facts.cap]
    yield from _table(
        (
            "policy",
            "tokens a problem",
            "saved %",
            "accuracy %",
            "accuracy − even, points",
            "loss",
            "/ oracle",
            "settings",
        ),
        (_cells(row) for row in rows),
    )


def _cells(row: ArmRow) -> tuple[str, ...]:
    return (
        row.arm,
        f"{row.tokens.value:,.0f}",
        percent(row.saved),
        percent(row.accuracy),
        percent(row.difference, digits=2, sign="+"),
        "significant" if row.loses else "",
        f"{row.times.value:.2f}",
        _settings(row),
    )


def _settings(row: ArmRow) -> str:
    """What was chosen most often, unless there was no choice."""
    if not row.settings or set(row.settings) == {row.arm}:
        return ""
    ((name, times),) = Counter(row.settings).most_common(1)
    return f"`{name}`" + f" ({times} of {sum(row.settings.values())})" * (len(row.settings) > 1)


def _left_out(results: Sequence[Result]) -> Iterator[str]:
    left_out = [result.facts for result in results if result.facts.left_out]
    if left_out:
        yield "\n## Left out\n"
        yield from (f"- {facts.name}: {facts.left_out}" for facts in left_out)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield "|" + "---|" * len(headings)
    yield from (f"| {' | '.join(row)} |" for row in rows)
