"""The study of signals: which of them tells how much compute a problem needs (paper 2.2, 3.2, 3.3, 4, 6.5).

It reads recordings one after the other, and holds one at a time; embeddings of all questions are computed first, so
that each model is loaded once.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from dynasor.bench.signals_correlation import DRAWS, CorrelationRow, DetectionRow, by_detection, correlate
from dynasor.bench.signals_embedding import POLICY, WORDLLAMA, Vectors, called, embedded
from dynasor.bench.signals_predictors import Fitted, fit, recipes
from dynasor.bench.signals_programs import DETECT_AT, ENTROPY, Workload, watch
from dynasor.bench.signals_rules import TOLERANCE, Point, RuleRow, curve, even_curve, judged_rules, plain
from dynasor.bench.signals_sources import name_of, read_source
from dynasor.bench.signals_zones import ZoneRow, zone_rows
from dynasor.errors import UsageError

DETECTION_STEPS = (5, 10, 15, 20, 25, 30)  # of Fig. 4
THRESHOLD = 0.7  # of Table 1
DRAWN = (
    ENTROPY,
    "length",
    "logprob",
    "best reward",
    "all signals, logistic",
    "prompt (policy), ridge",
    "prompt (wordllama), ridge",
)
ORDERS = 5

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SignalsPlan:
    """What to study.

    Attributes:
        sources: traces, runs of even allocation, and packed journals of such.
        embeddings: what embeds questions; see `signals_embedding.embedding_model`.
        tolerance: of the rules, in shares of 1.
    """

    sources: tuple[Path, ...]
    embeddings: tuple[str, ...] = (WORDLLAMA, POLICY)
    orders: int = ORDERS
    draws: int = DRAWS
    detect_at: int = DETECT_AT
    tolerance: float = TOLERANCE


class Counted(NamedTuple):
    """Programs that are alike.

    Attributes:
        certaindex: at the detection step, to four digits.
        needed: the fewest branches from which on the vote is right; None where it is wrong at the cap.
    """

    certaindex: float
    needed: int | None
    programs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadStudy:
    """All that was found on one workload.

    Attributes:
        left_out: why nothing was; empty else.
        unfitted: predictors that too few solved questions were there to fit.
        even: even allocation at every cap from 1.
        curves: by signal, for those that are drawn.
        programs: one order of every problem, counted.
    """

    name: str
    left_out: str = ""
    cap: int = 0
    problems: int = 0
    questions: int = 0
    zones: Sequence[ZoneRow] = ()
    detections: Sequence[DetectionRow] = ()
    correlations: Sequence[CorrelationRow] = ()
    rules: Sequence[RuleRow] = ()
    unfitted: Sequence[str] = ()
    even: Sequence[Point] = ()
    curves: Mapping[str, Sequence[Point]] | None = None
    programs: Sequence[Counted] = ()


def run_signals(plan: SignalsPlan, tell: Tell = lambda line: None) -> Iterator[WorkloadStudy]:
    """The study of each source, as it is done.

    Raises:
        MissingExtra: scipy or scikit-learn is not installed, or what computes an embedding is not.
        UsageError: an embedding cannot be had.
        EngineError: a server or a model is out of order.
    """
    vectors = {}
    questions = _questions(plan.sources) if plan.embeddings else {}
    for source in plan.embeddings:
        asked = [question for question, by_builtin in questions.items() if by_builtin or source != POLICY]
        tell(f"embedding {len(asked)} questions: {called(source)}")
        vectors[called(source)] = embedded(source, asked) if asked else {}
    for path in plan.sources:
        tell(f"studying {name_of(path)}")
        yield study_source(path, plan, vectors)


def study_source(path: Path, plan: SignalsPlan, vectors: Mapping[str, Vectors]) -> WorkloadStudy:
    """The study of one source, or why it has none."""
    try:
        workload = watch(read_source(path), detect_at=plan.detect_at, orders=plan.orders)
    except UsageError as fault:
        return WorkloadStudy(name=name_of(path), left_out=str(fault).partition(": ")[2] or str(fault))
    return study_workload(workload, plan, vectors)


def study_workload(workload: Workload, plan: SignalsPlan, vectors: Mapping[str, Vectors]) -> WorkloadStudy:
    """All tables of one workload; predictors of the prompt only where all questions were embedded."""
    known = {name: known for name, known in vectors.items() if all(case.question in known for case in workload.cases)}
    fitted, unfitted = _fitted(workload, known)
    steps = [step for step in DETECTION_STEPS if step < workload.cap]
    return WorkloadStudy(
        name=workload.name,
        cap=workload.cap,
        problems=len(workload.cases),
        questions=len({case.unit for case in workload.cases}),
        zones=zone_rows(workload),
        detections=by_detection(workload, steps, THRESHOLD, plan.draws),
        correlations=correlate(workload, {name: each.judged for name, each in fitted.items()}, plan.draws),
        rules=judged_rules(workload, fitted, plan.tolerance),
        unfitted=unfitted,
        even=even_curve(workload),
        curves={name: curve(workload, fitted[name]) for name in DRAWN if name in fitted},
        programs=_counted(workload),
    )


def _fitted(workload: Workload, vectors: Mapping[str, Vectors]) -> tuple[dict[str, Fitted], list[str]]:
    """Every signal and predictor by name, and the predictors that could not be fitted."""
    found = {
        name: plain([[program.readings[name] for program in case.programs] for case in workload.cases])
        for name in workload.signals
    }
    unfitted = []
    for recipe in recipes(workload, vectors):
        predictor = fit(workload, recipe)
        if predictor is None:
            unfitted.append(recipe.name)
        else:
            found[recipe.name] = predictor
    return found, unfitted


def _counted(workload: Workload) -> list[Counted]:
    first = [case.programs[0] for case in workload.cases]
    counts = Counter((round(program.readings[ENTROPY], 4), program.path.needed) for program in first)
    return [Counted(reading, needed, count) for (reading, needed), count in counts.items()]


def _questions(paths: Sequence[Path]) -> dict[str, bool]:
    """All questions, and whether the built-in model answered them; what cannot be read is told when it is studied."""
    found: dict[str, bool] = {}
    for path in paths:
        try:
            source = read_source(path)
        except UsageError:
            continue
        for recording in source.recordings:
            question = recording.problem.question
            found[question] = found.get(question, False) or source.by_builtin
    found.pop("", None)
    return found
