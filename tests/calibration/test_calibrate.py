"""Who is chosen, by whom, and what is said where there are too few problems."""

import pytest

from dynasor.calibration.calibrate import FITTING_SHARE, calibrated, divided, frontier, in_all
from dynasor.calibration.candidates import DECIDED, LOWEST, Candidate, Measured, curves, measured, thresholds
from dynasor.calibration.guarantee import Promise, p_value
from dynasor.calibration.profile import ProblemProfile, profiled
from dynasor.datasets.problem import Recording
from dynasor.errors import UsageError
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.request import Sample
from dynasor.wiring import make_policy
from support.profiles import path_of, setup_at, synthetic


@pytest.fixture(scope="module")
def profiles() -> list[ProblemProfile]:
    return profiled(synthetic(80, 8, seed=3), SelfConsistency, setup_at(8), orders=2)


def tried(name: str, losses: tuple[float, ...], spent: float) -> Measured:
    count = len(losses)
    return Measured(Candidate(name, DECIDED.policy), losses, (spent,) * count, (10.0,) * count)


def test_three_problems_by_hand() -> None:
    """Judged at 3 of 5: the first stops rightly, the second wrongly, the third has no right answer to lose."""
    three = [
        ProblemProfile("stops", (path_of("aaaaa"),)),
        ProblemProfile("loses", (path_of("bbbaa"), path_of("bbaaa"))),
        ProblemProfile("hopeless", (path_of("bcbbb"),)),
    ]
    certain, _ = make_policy("static:threshold=0.9,detect_at=3")
    found = measured(Candidate("certain", certain), three)
    assert found.losses == (0.0, 0.0, 0.0), "the majority of bbbaa is wrong, and bbaaa goes on"
    assert found.spent == (33.0, (33 + 60) / 2, 60.0)
    assert found.even == (60.0, 60.0, 60.0)
    assert found.saving.value == pytest.approx(1 - (33 + 46.5 + 60) / 180)
    hasty, _ = make_policy("static:threshold=0.4,detect_at=3")
    assert measured(Candidate("hasty", hasty), three).losses == (0.0, 0.5, 0.0)


def test_decided_loses_nothing(profiles: list[ProblemProfile]) -> None:
    assert set(measured(DECIDED, profiles).losses) == {0.0}


def test_thresholds_stand_at_attainable_values_and_name_policies() -> None:
    found = thresholds(20)
    assert len(found) == len({candidate.text for candidate in found})
    assert "decided+static:threshold=0.689,detect_at=5" in {candidate.text for candidate in found}
    for candidate in found:
        assert make_policy(candidate.text) == (candidate.policy, candidate.text)
    assert not any("detect_at=8" in candidate.text for candidate in thresholds(8)), "there it would save nothing"
    assert LOWEST < 0.42


def test_curves_are_fitted_at_every_detection_step(profiles: list[ProblemProfile]) -> None:
    texts = [candidate.text for candidate in curves(profiles, 8)]
    assert len(set(texts)) == len(texts) > 3
    assert all(text.startswith("decided+curve:table=") for text in texts)


def test_the_frontier_is_the_safest_first_and_each_saves_more() -> None:
    safe, saver, beaten, reckless = (
        tried("safe", (0.0,) * 10, 8.0),
        tried("saver", (0.0,) * 9 + (0.5,), 5.0),
        tried("beaten", (0.0,) * 9 + (1.0,), 6.0),
        tried("reckless", (1.0,) * 10, 1.0),
    )
    assert frontier([beaten, saver, reckless, safe], Promise(0.3, 0.9)) == [safe, saver]


def test_the_parts_have_no_problem_in_common_and_differ_by_seed(profiles: list[ProblemProfile]) -> None:
    fitting, testing = divided(profiles, FITTING_SHARE, seed=0)
    assert (len(fitting), len(testing)) == (20, 60)
    assert {p.id for p in fitting} | {p.id for p in testing} == {p.id for p in profiles}
    assert [p.id for p in fitting] != [p.id for p in divided(profiles, FITTING_SHARE, seed=1)[0]]


def test_the_chosen_saves_most_of_those_that_passed(profiles: list[ProblemProfile]) -> None:
    promise = Promise(0.15, 0.9)
    found = calibrated(profiles, promise)
    decided, *tested = found.trials
    assert (decided.candidate, decided.loss, decided.passed) == (DECIDED, 0.0, True)
    assert found.promised_more
    assert found.needed_count is None
    passed = [trial for trial in tested if trial.passed]
    assert passed == tested[: len(passed)], "the sequence ends with the first that fails"
    assert found.chosen.saving.value == max(trial.saving.value for trial in passed) > decided.saving.value
    assert found.chosen.p <= 0.1
    assert found.chosen.loss < found.chosen.bound <= 0.15


def test_the_testing_part_alone_is_what_the_promise_rests_on(profiles: list[ProblemProfile]) -> None:
    promise = Promise(0.15, 0.9)
    found = calibrated(profiles, promise, seed=4)
    _, testing = divided(profiles, FITTING_SHARE, seed=4)
    again = measured(found.trials[1].candidate, testing)
    assert found.trials[1].p == p_value(again.losses, 0.15)


def test_too_few_problems_promise_a_decided_vote_and_tell_how_many_would_do(profiles: list[ProblemProfile]) -> None:
    found = calibrated(profiles, Promise(0.01, 0.95))
    assert not found.promised_more
    assert found.chosen.candidate is DECIDED
    assert found.needed_count is None or found.needed_count > in_all(300)
    assert [trial.passed for trial in found.trials[1:]] == [False] * (len(found.trials) - 1)


def test_a_handful_is_refused(profiles: list[ProblemProfile]) -> None:
    with pytest.raises(UsageError, match="7 problems are too few to calibrate on; give 8 at least"):
        calibrated(profiles[:7], Promise(0.1, 0.9))


def test_a_recording_that_tells_no_tokens_is_refused() -> None:
    silent = [
        Recording(each.problem, tuple(Sample(sample.answer, 0) for sample in each.samples))
        for each in synthetic(8, 4, seed=8)
    ]
    with pytest.raises(UsageError, match="tells no tokens"):
        calibrated(profiled(silent, SelfConsistency, setup_at(4), orders=1), Promise(0.1, 0.9))
