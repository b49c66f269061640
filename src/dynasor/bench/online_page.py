"""The page of the online evaluation: how it was done, the goals, and a section of tables for each workload."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dynasor.bench.offline_workloads import workload_of
from dynasor.bench.online_arms import ARMS, BASELINES
from dynasor.bench.online_choice import MOST_PROBLEMS, TOLERANCE
from dynasor.bench.online_figures import Measured, mean
from dynasor.bench.online_goals import Goal, goals
from dynasor.bench.online_rows import Facts
from dynasor.bench.online_runs import BASE
from dynasor.bench.online_study import CAPS_AT, FLOOR, OnlinePlan, OnlineStudy
from dynasor.bench.online_tables import (
    cap_table,
    component_table,
    fairness_table,
    latency_table,
    memory_table,
    rate_table,
    ratio_table,
    workload_table,
)

RATE_PLOT, SCALE_PLOT, ACCURACY_PLOT = "online-rates.png", "online-scales.png", "online-accuracy.png"
FAIRNESS_PLOT, MEMORY_PLOT = "online-fairness.png", "online-memory.png"

_METHOD = """# Online: programs that arrive at random, with deadlines

Recorded programs of self-consistency arrive as a Poisson process at one modelled accelerator, and are served by the
sessions, policies and scheduler that serve live programs (`dynasor bench online`; paper 6.3, 6.5, 6.6, Appendix B).
What is answered is what real models answered; **when** is modelled ([simulation](../simulation.md)), so no figure
here is of a real engine. The paper's searches (MCTS, Rebase) cannot be replayed from recorded samples and are not
here: in their place stands self-consistency on code.

**Deadlines** (6.1): SLO scale × difficulty factor × base deadline. The base deadline is {base:g} times what a program
takes that has the accelerator to itself, under even allocation; for mathematics that is close to the paper's 240 s. A
problem is always, sometimes or never right by all its recorded samples, and the factor of each class is its tokens a
sample over those of the easiest class, at least 1 (the paper does not say its factors).

**A seed** has its own half of the problems that come (again, with samples in another order, where they are too few),
its own arrivals and its own order of samples, the same for all arms. The certaindex threshold is chosen on the other
half ({most} problems at most): the least that loses at most {tolerance:g} points there; where none does, nothing is
stopped. Policies in flight are chosen for flight. Brackets are 95 % intervals over seeds, by resampling them;
differences between arms are paired.

**Load** is the rate over what even allocation can serve, measured with a burst of all programs. The **sustained
rate** is where attainment falls below 90 %, between the rates that were tried; ≥ where the greatest was sustained.
The **tightest scale** is the least at which 90 % are in time.
"""

_NOTES = """## What is behind the figures

- **FCFS, App-FIFO and gang are one order under even allocation**: a program asks for all its branches at once, when
  it comes, so that the first to come is the first of all in each of them. The paper's gap between SGLang and Parrot
  needs programs that come back with more. SJF (*without certaindex*) is no better there, and worse where memory is
  short.
- **The rate follows the tokens.** An engine that is full serves tokens at about one speed under every ordering; what
  is not generated is what makes room. Where certaindex saves little (samples that rarely agree, as of code), no
  ordering makes up for it.
- **Orderings differ little under certaindex, too.** Before a program has branches nothing tells it from another, and
  after them only the uncertain come back, once. So the 1.9 x that the paper finds for SJF on MATH is not found here:
  compare *Dynasor*, *with gang*, *gang for SJF* and *without aging*. `dynasor` is the project's default, SJF under
  aging; *with gang* is the whole of the paper's.
- **Rounds cost time.** Dynasor asks for five branches, waits, and asks for the others: a program that is not stopped
  takes two rounds, and its latency is above that of even allocation while the engine is not full. In flight there are
  no rounds; what is cut has been generated in part, which costs rate where branches are short and alike.
- **Stopping at a decided vote, in rounds, asks often**, so that each program takes several rounds: fewer tokens, and
  more late programs while the engine is not full. It is worth it in flight, and for batches.
- **Deadline-aware allocation** gives less to programs that would be late; the column *given less* tells how many,
  *right* what it costs.
- **Memory** binds only where answers are long; with short ones the engine's 256 sequences do. Prompts are short, so
  that a prefix that was evicted is soon computed again, and eviction hints change nothing that these runs could show.
- Runs are finite and begin empty, so that a rate somewhat above what can be served forever still counts as sustained,
  the more the shorter a run is in deadlines. Ratios above that of the tokens are of this kind. The
  scale that an overloaded arm needs grows with the length of a run, and with it the ratio of scales. A burst of long
  answers fills the memory and preempts, so that more than load 1 is sustained where answers are long.
"""


@dataclass(frozen=True, slots=True)
class _Shown:
    facts: Facts
    rows: Measured
    plan: OnlinePlan

    @property
    def load(self) -> float:
        return self.plan.fixed[0]


def measured(study: OnlineStudy) -> dict[str, Measured]:
    """The rows of a study, by workload."""
    rows = study.mine()
    return {
        each.workload: Measured((row for row in rows if row.point.workload == each.workload), study.plan.cap)
        for each in study.facts
    }


def page(study: OnlineStudy) -> Iterator[str]:
    """Its lines."""
    plan, shown = study.plan, measured(study)
    facts = {each.workload: each for each in study.facts}
    yield _METHOD.format(base=BASE, most=MOST_PROBLEMS, tolerance=100 * TOLERANCE)
    yield from (f"- {name}: `{value}`" for name, value in study.rows.origins[-1].provenance.items())
    yield f"- accelerator: `{plan.accelerator}`; cap {plan.cap}; seeds {_seeds(shown)}"
    yield f"- rows: {len(study.mine())}, in `{study.rows.path}`\n"
    count = len(plan.programs)
    yield from workload_table(study.facts, [plan.programs[min(n, count - 1)] for n in range(len(study.facts))])
    yield "\n## The paper's figures as goals\n"
    yield from _goal_lines(goals(shown, plan.fixed[-1], CAPS_AT))
    yield f"\n{_NOTES}"
    yield f"Means over seeds; a line ends where fewer than {100 * FLOOR:.0f} % were in time under one of them.\n"
    yield f"![attainment against rate]({RATE_PLOT})\n"
    yield f"![attainment against SLO scale]({SCALE_PLOT})\n"
    yield f"![finish-time fairness]({FAIRNESS_PLOT})"
    if plan.caps:
        yield f"\n![accuracy against attainment]({ACCURACY_PLOT})"
    if plan.memories:
        yield f"\n![attainment against memory]({MEMORY_PLOT})"
    for name, rows in shown.items():
        yield from _section(_Shown(facts[name], rows, plan))
    yield "\n## Arms\n"
    yield from _arm_lines(plan.arms)


def _goal_lines(found: Sequence[Goal]) -> Iterator[str]:
    yield "| recording | goal | reached | here | why |"
    yield "|---|---|---|---|---|"
    for goal in found:
        met = {True: "yes", False: "**no**", None: "?"}[goal.met]
        yield f"| `{goal.workload}` | {goal.text} | {met} | {goal.found} | {goal.why} |"


def _section(shown: _Shown) -> Iterator[str]:
    plan, rows, load = shown.plan, shown.rows, shown.load
    described = workload_of(shown.facts.workload)
    yield f"\n## `{shown.facts.workload}`: {described.model}, {described.task}\n"
    yield f"Rate and scale against attainment (Fig. 9); tokens and accuracy at load {load:g}.\n"
    yield from rate_table(rows, plan.arms, plan.fixed)
    if set(BASELINES) <= set(plan.arms):
        yield f"\nAgainst each baseline, at load {plan.fixed[-1]:g}:\n"
        yield from ratio_table(rows, plan.fixed[-1])
        yield "\nWhat each part brings (Figs 10, 11):\n"
        yield from component_table(rows, plan.fixed[-1])
    for each in plan.fixed:
        yield f"\nLatency and throughput at load {each:g}:\n"
        yield from latency_table(rows, plan.arms, each)
    yield f"\nFinish-time fairness at load {plan.fixed[-1]:g}: ms of latency a token of even allocation (Fig. 14).\n"
    yield from fairness_table(rows, plan.arms, plan.fixed[-1])
    if plan.caps:
        yield f"\nAccuracy / in time, %, at the rate of load {CAPS_AT:g} (Fig. 9 c):\n"
        yield from cap_table(rows, plan.caps, CAPS_AT)
    if plan.memories:
        yield f"\nIn time / prefix hits, %, with less memory, at the rate of load {CAPS_AT:g} (Fig. 17):\n"
        yield from memory_table(rows, plan.memories, CAPS_AT)


def _arm_lines(names: Sequence[str]) -> Iterator[str]:
    yield "| arm | ordering | allocation | |"
    yield "|---|---|---|---|"
    for arm in (arm for arm in ARMS if arm.name in names):
        how = "in flight" if arm.in_flight else "less where it would be late" if arm.due else ""
        yield f"| {arm.name} | `{arm.ordering}` | {arm.allocation} | {how} |"


def _seeds(shown: Mapping[str, Measured]) -> str:
    return ", ".join(f"{len(rows.seeds)} of `{name}`" for name, rows in shown.items())


def scales(rows: Measured, arm: str, load: float) -> list[float]:
    """The least scale with so many in time, over seeds, at each of the shares that are kept."""
    at = rows.at(arm, load)
    return [mean([row.needed[place] for row in at]).value for place in range(len(at[0].needed))] if at else []
