"""The page of the study of signals, as Markdown. It knows rows; plots lie beside it."""

from collections.abc import Iterator, Mapping, Sequence
from math import isnan
from pathlib import Path

from dynasor.bench.policy_tables import percent
from dynasor.bench.signals_plots import CERTAINDEX, CORRELATION, DETECTION, TOKENS, ZONES
from dynasor.bench.signals_programs import ENTROPY
from dynasor.bench.signals_rules import NO_SIGNAL, ORACLE
from dynasor.bench.signals_study import SignalsPlan, WorkloadStudy
from dynasor.bench.signals_tables import above, below, overview
from dynasor.bench.wording import NOTHING
from dynasor.metrics.intervals import Estimate

_INTRODUCTION = """# Which signal tells how much compute a problem needs

Self-consistency on recorded samples and runs, under {orders} seeded orders of every problem's samples. The *branches
needed* are the fewest from which on the majority is right up to the cap; a program is *solved* if it is right at the
cap. The cap is the most samples that at least half of a recording's problems have, and no more than 40. Signals are
read once, at branch {detect_at}; brackets are 95 % intervals by bootstrap over questions. A question that several
models answered counts as one.

What is fitted, a predictor or a threshold, is fitted on one half of the questions and judged on the other, both ways;
the halves never overlap. The samples of zeroeval-43-models are of 43 models, one each: votes among models, not of one.
"""

_SIGNALS = """
| signal | what it reads |
|---|---|
| entropy | certaindex: how far the first answers agree |
| length | the mean tokens of the first branches; short is certain |
| logprob | their mean log-probability, where recorded |
| lowest group | the mean of their least confident groups of 64 tokens, where recorded (DeepConf) |
| mean reward, best reward | of a reward model, where recorded |
| entropy + ..., all signals | linear regression of the needed branches' logarithm; *logistic*: of needing more than \
those read |
| prompt (...) | predictors that see the prompt alone, before any branch: ridge regression, logistic regression and a \
network with one hidden layer of 16, on its embedding by wordllama, or on hidden states (*policy*: of the built-in \
model, after the prompt's last token) |
| no signal: one cap | the smallest cap for everybody; reads nothing |
| oracle | stops at the branches needed; at the first branch where the vote will be wrong at the cap |
"""


def write_page(studies: Sequence[WorkloadStudy], plan: SignalsPlan, origin: Mapping[str, object], path: Path) -> None:
    """Write it.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(_page(studies, plan, origin)) + "\n", encoding="utf-8")


def _page(studies: Sequence[WorkloadStudy], plan: SignalsPlan, origin: Mapping[str, object]) -> Iterator[str]:
    done = [study for study in studies if not study.left_out]
    yield _INTRODUCTION.format(orders=plan.orders, detect_at=plan.detect_at)
    yield from (f"- {name}: `{value}`" for name, value in origin.items())
    yield "\n## What it shows\n"
    yield from findings(studies, plan.tolerance)
    yield "\n## Signals" + "\n" + _SIGNALS
    yield from _overview(done, plan)
    yield from _zones(done)
    yield from _certaindex(done, plan)
    yield from _detections(done)
    yield from _signals(done)
    yield from _rules(done, plan)
    yield "\n## Left out\n"
    yield from (f"- {study.name}: {study.left_out}" for study in studies if study.left_out)
    yield from (f"- {study.name}, not fitted: {', '.join(study.unfitted)}" for study in done if study.unfitted)


def findings(studies: Sequence[WorkloadStudy], tolerance: float) -> Iterator[str]:
    """Sentences that follow from the rows, and from nothing else."""
    done = [study for study in studies if not study.left_out]
    entropy = [row for study in done for row in study.correlations if row.signal == ENTROPY]
    if entropy:
        found = sorted(row.pearson.value for row in entropy)
        mean = sum(found) / len(found)
        yield (
            f"- Certaindex and the branches needed, solved programs: Pearson's correlation is {found[0]:.2f} to"
            f" {found[-1]:.2f} on {len(found)} workloads, {mean:.2f} in the mean (paper: 0.17 to 0.75, 0.52)."
        )
    best = [max(study.correlations, key=lambda row: row.kendall.value).signal for study in done if study.correlations]
    if best:
        counts = sorted(((best.count(name), name) for name in set(best)), reverse=True)
        told = ", ".join(f"{name} ({count})" for count, name in counts)
        yield f"- The strongest by Kendall's correlation, and on how many of {len(best)} workloads: {told}."
    lines = overview(studies, tolerance)
    for line in lines:
        if line.signal in (ENTROPY, NO_SIGNAL):
            yield f"- As a rule, *{line.signal}* saves {100 * line.saved:.1f} % of the tokens on the median workload."
    for line in lines:
        if line.saves_more > line.saves_less and line.signal not in (ENTROPY, ORACLE):
            yield (
                f"- *{line.signal}* saves more than entropy on {line.saves_more} of {line.workloads} workloads, less on"
                f" {line.saves_less}; on {line.loses} it loses more accuracy than is tolerated."
            )


def _overview(studies: Sequence[WorkloadStudy], plan: SignalsPlan) -> Iterator[str]:
    yield "\n## Overview\n"
    yield "Kendall's correlation: with the branches that the same program needs, whose first ones were read, and"
    yield "*apart*, with those needed under another order of the same samples. *Stronger*, *weaker*, *saves more*,"
    yield "*saves less*: on how many workloads it differs from entropy, the paired interval leaving zero out. *Saved*:"
    yield f"as a rule of {100 * plan.tolerance:g} points of tolerance, on the median workload; *loses*: workloads where"
    yield "it loses more than that, the interval leaving the tolerance out. Kendall's is tau-b, which favours readings"
    yield "with as many ties as the branches needed have; Pearson's does not. Means and medians of signals that were"
    yield "not recorded everywhere are over fewer workloads.\n"
    headings = ("signal", "workloads", "Pearson", "Kendall", "apart", "stronger", "weaker")
    yield f"| {' | '.join((*headings, 'saved %', 'saves more', 'saves less', 'loses'))} |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for line in overview(studies, plan.tolerance):
        figures = [
            str(line.workloads),
            _two(line.pearson),
            _two(line.kendall),
            _two(line.apart),
            str(line.stronger),
            str(line.weaker),
        ]
        figures += [f"{100 * line.saved:.1f}", str(line.saves_more), str(line.saves_less), str(line.loses)]
        yield f"| {line.signal} | {' | '.join(figures)} |"


def _zones(studies: Sequence[WorkloadStudy]) -> Iterator[str]:
    yield "\n## Zones (paper, Fig. 1)\n"
    yield "*Impossible*: the vote at the cap is wrong in most orders. *Easy*: that at the detection step is right in at"
    yield f"least 90 % of them. *Scaling*: the rest.\n\n![Zones]({ZONES})\n"
    yield "| workload | cap | problems | zone | share % | tokens % | branches needed | certaindex |"
    yield "|---|---|---|---|---|---|---|---|"
    for study in studies:
        for row in study.zones:
            cells = [study.name, str(study.cap), str(row.problems), row.zone, percent(row.share)]
            cells += [f"{100 * row.tokens:.1f}", _two(row.needed), _two(row.certaindex)]
            yield f"| {' | '.join(cells)} |"


def _certaindex(studies: Sequence[WorkloadStudy], plan: SignalsPlan) -> Iterator[str]:
    yield f"\n## Certaindex at branch {plan.detect_at} and the branches needed (paper, Fig. 3)\n"
    yield f"![Certaindex and the branches needed]({CERTAINDEX})\n"
    yield "| workload | solved programs | questions | Pearson | Kendall | Kendall, apart |"
    yield "|---|---|---|---|---|---|"
    for study in studies:
        for row in study.correlations:
            if row.signal == ENTROPY:
                cells = [str(row.programs), str(row.questions), _ranged(row.pearson), _ranged(row.kendall)]
                yield f"| {study.name} | {' | '.join(cells)} | {_two(row.apart)} |"


def _detections(studies: Sequence[WorkloadStudy]) -> Iterator[str]:
    yield "\n## Detection steps (paper, Fig. 4)\n"
    yield f"*Certain*: programs whose certaindex reaches 0.7 there.\n\n![Detection steps]({DETECTION})\n"
    yield "| workload | detected at | certain % | Pearson | Kendall |"
    yield "|---|---|---|---|---|"
    for study in studies:
        for row in study.detections:
            cells = [str(row.detect_at), f"{100 * row.certain:.1f}", _ranged(row.pearson), _ranged(row.kendall)]
            yield f"| {study.name} | {' | '.join(cells)} |"


def _signals(studies: Sequence[WorkloadStudy]) -> Iterator[str]:
    yield "\n## Signals compared (paper, Fig. 5)\n"
    yield f"**Bold**: the paired interval of the difference to entropy leaves zero out.\n\n![Signals]({CORRELATION})\n"
    yield "| workload | signal | Pearson | Kendall | apart | Kendall − entropy |"
    yield "|---|---|---|---|---|---|"
    for study in studies:
        for row in study.correlations:
            cells = [_ranged(row.pearson), _ranged(row.kendall), _two(row.apart), _bold(row.kendall_less_entropy)]
            yield f"| {study.name} | {row.signal} | {' | '.join(cells)} |"


def _rules(studies: Sequence[WorkloadStudy], plan: SignalsPlan) -> Iterator[str]:
    yield "\n## Signals as rules: tokens for even's accuracy (paper, Fig. 13)\n"
    yield "A rule stops a program at the detection step if its reading reaches a threshold; else it draws to the cap."
    yield "The threshold saves most on one half of the questions, at no more than"
    yield f"{100 * plan.tolerance:g} points of accuracy lost there; figures are those of the other half, both ways.\n"
    yield f"![Tokens to accuracy]({TOKENS})\n"
    yield "| workload | signal | stopped % | tokens | saved % | accuracy − even, points | saved − entropy, points |"
    yield "|---|---|---|---|---|---|---|"
    for study in studies:
        for row in study.rules:
            lost = percent(row.accuracy_difference, digits=2, sign="+")
            against = _bold(row.saved_less_entropy, hundredfold=True)
            cells = [f"{100 * row.stopped:.1f}", f"{row.tokens.value:,.0f}", percent(row.saved), lost, against]
            yield f"| {study.name} | {row.signal} | {' | '.join(cells)} |"


def _two(value: float) -> str:
    return NOTHING if isnan(value) else f"{value:.2f}"


def _ranged(estimate: Estimate) -> str:
    if isnan(estimate.value):
        return NOTHING
    return f"{estimate.value:.2f}" + ("" if isnan(estimate.low) else f" [{estimate.low:.2f}, {estimate.high:.2f}]")


def _bold(difference: Estimate | None, *, hundredfold: bool = False) -> str:
    if difference is None or isnan(difference.value):
        return NOTHING
    told = percent(difference, sign="+") if hundredfold else f"{difference.value:+.2f}"
    return f"**{told}**" if above(difference) or below(difference) else told
