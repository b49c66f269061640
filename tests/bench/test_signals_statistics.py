"""Correlations, predictors and rules, on problems whose answers are known."""

from collections.abc import Sequence
from itertools import pairwise
from math import isnan
from random import Random

import pytest

from dynasor.bench.signals_correlation import by_detection, correlate
from dynasor.bench.signals_predictors import Fitted, fit, recipes
from dynasor.bench.signals_programs import Workload, watch
from dynasor.bench.signals_rules import curve, even_curve, judged_rules, plain
from dynasor.bench.signals_sources import Source
from dynasor.datasets.problem import Problem, Recording
from dynasor.request import Sample

pytestmark = pytest.mark.slow


def skilled(name: str, skill: float, cap: int) -> Recording:
    """Each branch is right with this probability; the less it is, the longer, and the less sure."""
    random = Random(f"skilled/{name}")
    samples = tuple(
        Sample(
            "a" if random.random() < skill else random.choice("bcd"), round(100 - 50 * skill), mean_logprob=skill - 1
        )
        for _ in range(cap)
    )
    return Recording(Problem(name, f"question {name} {skill:.2f}", verdicts={"a": 1.0}), samples)


@pytest.fixture(scope="module")
def workload() -> Workload:
    random = Random("skills")
    recordings = [skilled(f"p{n}", random.betavariate(2, 0.7), 16) for n in range(80)]
    return watch(Source("synthetic", recordings), orders=3)


def read(workload: Workload, signal: str) -> list[list[float]]:
    return [[program.readings[signal] for program in case.programs] for case in workload.cases]


def prophetic(workload: Workload) -> list[list[float]]:
    return [[-float(program.path.needed or 99) for program in case.programs] for case in workload.cases]


def constant(workload: Workload) -> list[list[float]]:
    return [[0.0] * workload.orders for _ in workload.cases]


def test_a_prophet_correlates_wholly_and_a_constant_not_at_all(workload: Workload) -> None:
    readings = {"entropy": read(workload, "entropy"), "prophet": prophetic(workload), "constant": constant(workload)}
    entropy, prophet, none = correlate(workload, readings, draws=20)
    assert prophet.pearson.value == pytest.approx(1.0)
    assert prophet.kendall.value == pytest.approx(1.0)
    assert 0.2 < entropy.kendall.low <= entropy.kendall.value <= entropy.kendall.high < 0.9
    assert entropy.kendall_less_entropy is None
    assert prophet.kendall_less_entropy is not None
    assert prophet.kendall_less_entropy.low > 0
    assert isnan(none.kendall.value)
    assert prophet.apart < 1.0, "another order needs other branches"


def test_only_solved_programs_take_part(workload: Workload) -> None:
    solved = [p for case in workload.cases for p in case.programs if p.path.needed is not None]
    (row,) = correlate(workload, {"entropy": read(workload, "entropy")}, draws=2)
    assert row.programs == len(solved) < 240
    assert row.questions <= 80


def test_few_solved_questions_are_not_correlated() -> None:
    recordings = [skilled(f"p{n}", 1.0 if n < 9 else 0.0, 8) for n in range(20)]
    few = watch(Source("few", recordings), orders=1)
    assert correlate(few, {"entropy": read(few, "entropy")}, draws=2) == []
    assert by_detection(few, [5], 0.7, draws=2) == []


def test_detection_steps_tell_who_is_certain_by_then(workload: Workload) -> None:
    rows = by_detection(workload, [5, 10], 0.7, draws=10)
    assert [row.detect_at for row in rows] == [5, 10]
    flat = [p.path.progress[5].certaindex for case in workload.cases for p in case.programs]
    assert rows[0].certain == sum(value >= 0.7 for value in flat) / len(flat)


def skills(workload: Workload) -> dict[str, Sequence[float]]:
    """An embedding that tells the skill, which is in the question."""
    return {case.question: (float(case.question.split()[-1]), 1.0) for case in workload.cases}


def test_a_telling_prompt_is_learned_and_a_dumb_one_is_not(workload: Workload) -> None:
    dumb = {case.question: (Random(case.question).random(), 0.0) for case in workload.cases}
    made = {recipe.name: recipe for recipe in recipes(workload, {"wise": skills(workload), "dumb": dumb})}
    assert "entropy + logprob" in made
    assert "all signals, logistic" in made
    found = {name: fit(workload, made[f"prompt ({name}), ridge"]) for name in ("wise", "dumb")}
    readings = {name: fitted.judged for name, fitted in found.items() if fitted}
    readings["entropy"] = read(workload, "entropy")
    rows = {row.signal: row for row in correlate(workload, readings, draws=20)}
    assert rows["wise"].kendall.low > 0.2
    assert abs(rows["dumb"].kendall.value) < 0.2


@pytest.mark.parametrize("kind", ["ridge", "logistic", "MLP"])
def test_no_reading_depends_on_its_own_question(workload: Workload, kind: str) -> None:
    """The programs of one question are made to need other branches: its own readings stay as they were."""
    (recipe,) = (r for r in recipes(workload, {"wise": skills(workload)}) if r.name == f"prompt (wise), {kind}")
    before = fit(workload, recipe)
    changed = workload.cases[0]
    swapped = type(changed)(changed.unit, changed.question, workload.cases[1].programs)
    other = Workload(
        workload.name, workload.cap, workload.detect_at, workload.orders, workload.signals,
        (swapped, *workload.cases[1:]),
    )  # fmt: skip
    after = fit(other, recipe)
    assert before is not None
    assert after is not None
    assert [p.path.needed for p in swapped.programs] != [p.path.needed for p in changed.programs]
    assert after.judged[0] == before.judged[0]
    halfmates = [place for place, case in enumerate(workload.cases) if case.fold == changed.fold and place]
    assert all(after.judged[place] == before.judged[place] for place in halfmates)
    assert after.judged != before.judged, "the other half was fitted on it"


def test_too_few_solved_questions_fit_nothing() -> None:
    hopeless = watch(Source("hopeless", [skilled(f"p{n}", 0.0, 8) for n in range(30)]), orders=1)
    assert [fit(hopeless, recipe) for recipe in recipes(hopeless, {})] == [None, None, None, None]


def test_rules_keep_to_the_tolerance_where_they_were_fitted(workload: Workload) -> None:
    signals = {
        "entropy": plain(read(workload, "entropy")),
        "prophet": plain(prophetic(workload)),
        "constant": plain(constant(workload)),
    }
    rows = {row.signal: row for row in judged_rules(workload, signals, tolerance=0.0)}
    assert list(rows) == ["no signal: one cap", "entropy", "prophet", "constant", "oracle"]
    assert rows["constant"].stopped == 0.0, "it stops all or none, and all would lose"
    assert rows["constant"].saved.value == 0.0
    assert rows["prophet"].accuracy_difference.value >= 0.0
    assert rows["prophet"].saved.value > rows["entropy"].saved.value > 0.1
    assert rows["prophet"].saved_less_entropy is not None
    assert rows["prophet"].saved_less_entropy.value == pytest.approx(
        rows["prophet"].saved.value - rows["entropy"].saved.value
    )
    assert rows["entropy"].saved_less_entropy is None
    assert rows["oracle"].saved.value == max(row.saved.value for row in rows.values())
    assert rows["oracle"].accuracy_difference.value >= 0.0


def test_a_threshold_comes_from_the_other_half_alone(workload: Workload) -> None:
    """A reading that would stop everybody where it is judged was never seen where the threshold was set."""
    blind = Fitted(judged=[[9.0] * workload.orders for _ in workload.cases], calibrated=constant(workload))
    rows = {row.signal: row for row in judged_rules(workload, {"entropy": blind}, tolerance=1.0)}
    assert rows["entropy"].stopped == 1.0
    rows = {row.signal: row for row in judged_rules(workload, {"entropy": blind}, tolerance=0.0)}
    assert rows["entropy"].stopped == 0.0


def test_curves_run_from_even_to_stopping_all(workload: Workload) -> None:
    even = even_curve(workload)
    assert len(even) == workload.cap
    assert all(fewer.tokens < more.tokens for fewer, more in pairwise(even))
    points = curve(workload, plain(read(workload, "entropy")))
    assert points[0] == even[-1]
    assert points[-1].tokens == pytest.approx(even[workload.detect_at - 1].tokens, rel=0.05)
