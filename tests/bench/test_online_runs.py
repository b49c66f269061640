"""Who comes, when it is due, what is chosen on whom, and that a point is served the same way every time."""

from pathlib import Path

import pytest

from dynasor.bench.online_arms import ARMS, BASELINES, arm_of
from dynasor.bench.online_choice import THRESHOLDS, chosen_threshold
from dynasor.bench.online_rows import SHARES, Facts, Point
from dynasor.bench.online_runs import Source, measure_facts, measure_point
from dynasor.bench.online_study import canonical
from dynasor.bench.online_workloads import ALWAYS, CLASSES, NEVER, SOMETIMES, Workload, difficulty
from dynasor.errors import UnknownName, UsageError
from support.online import PROBLEMS, SAMPLES, write_recording

MODEL = "a100-llama-8b"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return Source(str(write_recording(tmp_path_factory.mktemp("online") / "tiny.jsonl")), SAMPLES)


@pytest.fixture(scope="module")
def facts(source: Source) -> Facts:
    return measure_facts(source, MODEL, SAMPLES, 40)


def point(facts: Facts, arm: str, load: float = 1.5, *, programs: int = 60, scale: float = 1.0) -> Point:
    chosen = arm_of(arm)
    return Point(
        workload=facts.workload,
        digest=facts.digest,
        accelerator=MODEL,
        arm=arm,
        ordering=canonical(chosen.ordering),
        allocation=chosen.allocation,
        in_flight=chosen.in_flight,
        due=chosen.due,
        seed=0,
        programs=programs,
        cap=SAMPLES,
        load=load,
        scale=scale,
    )


def test_difficulty_goes_by_all_samples_and_factors_by_their_tokens(source: Source) -> None:
    workload = Workload(source.path, SAMPLES)
    classes = [difficulty(recording) for recording in workload.recordings]
    assert [classes.count(name) for name in CLASSES] == [PROBLEMS // 3] * 3
    assert workload.factors[ALWAYS] == 1.0
    assert 1.5 < workload.factors[SOMETIMES] < 2.0
    assert 2.2 < workload.factors[NEVER] < 3.0


def test_no_problem_both_comes_and_is_chosen_on(source: Source) -> None:
    workload = Workload(source.path, SAMPLES)
    for seed in range(3):
        coming, choosing = ({each.problem.id for each in half} for half in workload.halves(seed))
        assert not coming & choosing
        assert len(coming | choosing) == PROBLEMS
    assert workload.halves(0)[0] != workload.halves(1)[0]


def test_problems_come_again_under_another_name_with_samples_in_another_order(source: Source) -> None:
    workload = Workload(source.path, SAMPLES)
    half = len(workload.halves(0)[0])
    first, again = workload.coming(0, 0), workload.coming(0, half)
    assert first[0] is again[0]
    assert first[1].id != again[1].id
    assert first[2] != again[2]
    assert len({workload.coming(0, number)[1].id for number in range(3 * half)}) == 3 * half


def test_too_few_samples_are_refused(source: Source) -> None:
    with pytest.raises(UsageError, match="lower the caps"):
        Workload(source.path, SAMPLES + 1)


@pytest.mark.slow
def test_a_threshold_is_low_where_the_certain_are_right_and_none_where_the_short_are_wrong(
    source: Source, tmp_path: Path
) -> None:
    assert chosen_threshold(source.path, SAMPLES, SAMPLES, 0) in THRESHOLDS
    misled = str(write_recording(tmp_path / "misled.jsonl", wrong_first=True))
    assert chosen_threshold(misled, SAMPLES, SAMPLES, 0, in_flight=True) is None


def test_the_same_point_gives_the_same_row(source: Source, facts: Facts) -> None:
    asked = point(facts, "Dynasor")
    assert measure_point(asked, source, facts) == measure_point(asked, source, facts)


@pytest.mark.slow
def test_even_allocation_takes_the_same_tokens_under_every_ordering(source: Source, facts: Facts) -> None:
    rows = [measure_point(point(facts, name), source, facts) for name in BASELINES]
    assert len({row.tokens for row in rows}) == len({row.accuracy for row in rows}) == 1
    assert len({row.rate for row in rows}) == 1


@pytest.mark.slow
def test_certaindex_takes_fewer_tokens_and_is_in_time_more_often(source: Source, facts: Facts) -> None:
    even, ours = (measure_point(point(facts, name, programs=100), source, facts) for name in ("gang", "Dynasor"))
    assert ours.tokens < 0.8 * even.tokens
    assert ours.attainment >= even.attainment
    assert ours.tightest(0.9) < even.tightest(0.9)


@pytest.mark.slow
def test_a_vote_that_will_probably_last_takes_fewer_tokens_than_one_that_must(source: Source, facts: Facts) -> None:
    rows = [measure_point(point(facts, name), source, facts) for name in ("decided in flight", "lasting in flight")]
    assert rows[1].tokens < rows[0].tokens
    assert rows[1].policy == "decided+lasting:confidence=0.97"


@pytest.mark.slow
def test_what_would_be_late_is_given_less(source: Source, facts: Facts) -> None:
    loose, tight = (
        measure_point(point(facts, "+ deadline-aware", 3.0, programs=100, scale=scale), source, facts)
        for scale in (100.0, 0.3)
    )
    assert loose.less == 0.0
    assert tight.less > 0.0
    assert tight.tokens < loose.tokens


def test_attainment_and_the_scales_that_programs_need_agree(source: Source, facts: Facts) -> None:
    row = measure_point(point(facts, "FCFS (vLLM)", 2.5, programs=100), source, facts)
    in_time = [share for share, needed in zip(SHARES, row.needed, strict=True) if needed <= 1.0]
    assert max(in_time, default=0.0) <= row.attainment + 1e-9
    assert list(row.needed) == sorted(row.needed)
    assert list(row.fairness) == sorted(row.fairness)


def test_arms_have_names_of_their_own_and_orderings_that_there_are() -> None:
    assert len({arm.name for arm in ARMS}) == len(ARMS)
    for arm in ARMS:
        assert canonical(arm.ordering)
    with pytest.raises(UnknownName):
        arm_of("Dynasaur")
