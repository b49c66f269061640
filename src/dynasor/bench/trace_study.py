"""What recordings of real models say about probed chains, about choosing among rewarded paths, and about code.

A trace tells by its first line which of these it is for; one of programs with rewards is for two. What is run here is
what the other modules of this study define; it does not know how the rows are shown.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from dynasor.answers.semantic import BySimilarity
from dynasor.bench.code_groups import GroupRow, code_recordings, compare_groups, groupings
from dynasor.bench.probed_study import ProbedRow, study_probed
from dynasor.bench.search_choices import ChoiceRow, study_choices
from dynasor.bench.search_signals import SignalRow, study_signals
from dynasor.datasets.files import bare_name
from dynasor.datasets.probed_traces import read_probed
from dynasor.datasets.problem_sets import problem_set
from dynasor.datasets.search_traces import read_searches
from dynasor.datasets.tables import json_objects
from dynasor.engines.code_judge import CodeJudge
from dynasor.engines.embedding import Embedder
from dynasor.engines.embedding_builtin import BuiltinEmbeddings
from dynasor.engines.sandbox.process import ProgramLimits
from dynasor.engines.sandbox.sandbox import Sandbox

CODE_SETS: Mapping[str, tuple[str, str]] = {
    "humaneval": ("humaneval.jsonl", "humaneval"),
    "cruxeval_input": ("cruxeval.jsonl", "cruxeval-input"),
    "cruxeval_output": ("cruxeval.jsonl", "cruxeval"),
}
"""The end of a trace's name, after its model's -> the file and the format of its problems."""

ORDERS = 20
CODE_ORDERS = 5
CODE_CAP = 20
_PROGRAM_CPU_S = 1  # an example that takes longer is one that does not end

TraceRow = ProbedRow | ChoiceRow | SignalRow | GroupRow


@dataclass(frozen=True, slots=True)
class TracePlan:
    """What to run.

    Attributes:
        traces: the files.
        problems: the folder of the problem sets that traces in code were made of; None: leave code out.
        orders: seeded orders of independent samples.
        probe_tokens: what a probe costs where a recording does not hold it.
        judge_code: whether recorded programs may be run, to group them by what they do.
    """

    traces: tuple[Path, ...]
    problems: Path | None = None
    orders: int = ORDERS
    probe_tokens: int = 20
    judge_code: bool = False


@dataclass(frozen=True, slots=True)
class TraceStudy:
    """The rows of one trace, none where it holds nothing of this; the notes tell what a reader must know of it."""

    trace: str
    rows: tuple[TraceRow, ...]
    notes: tuple[str, ...] = ()


def run_traces(plan: TracePlan) -> Iterator[TraceStudy]:
    """The study of every trace, each as it is done.

    Raises:
        UsageError: a trace cannot be read, or grouping by meaning cannot work.
    """
    with ExitStack() as held:
        sandbox = held.enter_context(Sandbox(ProgramLimits(cpu_s=_PROGRAM_CPU_S)))
        judge = held.enter_context(CodeJudge(sandbox)) if plan.judge_code else None
        embedder = Embedder(BuiltinEmbeddings())
        for trace in plan.traces:
            yield _study(trace, plan, judge, embedder)


def _study(trace: Path, plan: TracePlan, judge: CodeJudge | None, embedder: Embedder) -> TraceStudy:
    rows: list[TraceRow] = []
    notes: list[str] = []
    sample = _first_sample(trace)
    if sample.keys() & {"probes", "steps"}:
        rows += _probed(trace, plan, notes)
    if sample.keys() & {"reward", "step_rewards", "selected"}:
        rows += _searched(trace, plan, notes)
    rows += _coded(trace, plan, judge, embedder)
    return TraceStudy(bare_name(trace), tuple(rows), tuple(notes))


def _first_sample(trace: Path) -> Mapping[str, Any]:
    """The first sample of the first line; the first level, where the line is the log of a search."""
    for _, question in json_objects(trace, msgspec.json.Decoder(dict[str, Any])):
        found: Any = question.get("samples") or question.get("steps")
        if isinstance(found, list) and found and isinstance(found[0], dict):
            return found[0]
        break
    return {}


def _probed(trace: Path, plan: TracePlan, notes: list[str]) -> list[ProbedRow]:
    probed = read_probed(trace)
    if probed.is_stepwise:
        notes.append(
            "Steps of forced re-thinking, each of which states an answer, stand for rounds; the answer is part of the"
            " step, so a probe costs nothing beside. Guided differs from plain only where tokens are limited."
        )
    else:
        notes.append(
            "Chains were probed at shares of their own reasoning, not every so many tokens; the probes at its beginning"
            " and at its end are left out. A probe told the likeliest of the permitted answers, however unlikely any of"
            " them was: among *all* probes that counts, among *sure* ones only where they had half of the probability."
        )
    return study_probed(probed, plan.probe_tokens)


def _searched(trace: Path, plan: TracePlan, notes: list[str]) -> list[ChoiceRow | SignalRow]:
    searched = read_searches(trace)
    if searched.is_squashed:
        notes.append("The rewards are no probabilities; the logistic function draws them into [0, 1].")
    return [*study_choices(searched, plan.orders), *study_signals(searched)]


def _coded(trace: Path, plan: TracePlan, judge: CodeJudge | None, embedder: Embedder) -> list[GroupRow]:
    known = CODE_SETS.get(bare_name(trace).rpartition("__")[2])
    if known is None or plan.problems is None:
        return []
    file, form = known
    problems = {problem.id: problem for problem in problem_set(str(plan.problems / file), format=form)}
    recordings = list(code_recordings(trace, problems))
    cap = min(CODE_CAP, *(len(recording.samples) for recording in recordings))
    ways = groupings(judge, lambda: BySimilarity(embedder.vector))
    return compare_groups(recordings, ways, cap=cap, orders=min(plan.orders, CODE_ORDERS))
