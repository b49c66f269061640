"""What a calibration tells a run to expect."""

from dataclasses import replace
from statistics import fmean

import pytest

from dynasor.calibration.calibrate import FITTING_SHARE, Calibration, calibrated, divided
from dynasor.calibration.drift import Expectation
from dynasor.calibration.drift_expected import USUAL, changes, efforts, expectation, expected_facts
from dynasor.calibration.guarantee import Promise
from dynasor.calibration.profile import Path, ProblemProfile, profiled
from dynasor.errors import UsageError
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.wiring import make_policy
from support.profiles import path_of, setup_at, synthetic


@pytest.fixture(scope="module")
def profiles() -> list[ProblemProfile]:
    return profiled(synthetic(60, 8, seed=3), SelfConsistency, setup_at(8), orders=2)


@pytest.fixture(scope="module")
def found(profiles: list[ProblemProfile]) -> Calibration:
    return calibrated(profiles, Promise(0.3, 0.9), seed=1)


def test_three_problems_by_hand() -> None:
    hasty, _ = make_policy("static:threshold=0.4,detect_at=3")
    three = [
        ProblemProfile("kept", (path_of("aaaaa"),)),
        ProblemProfile("half changed", (path_of("bbbaa"), path_of("bbaaa"))),
        ProblemProfile("divided", (path_of("bcabb"),)),
    ]
    assert efforts(hasty, three) == [0.6, 0.6, 1.0]
    assert changes(hasty, three) == [0.0, 0.5, 0.0], "bbaaa ends at a, and was stopped at b"


def test_answers_that_are_not_known_are_not_compared() -> None:
    path = path_of("aab")
    unknown = Path(path.progress, path.right, path.spent)
    assert changes(make_policy("even")[0], [ProblemProfile("p", (path, unknown))]) == []


def test_the_bounds_lie_above_the_means_of_the_problems_that_were_tested_on(
    profiles: list[ProblemProfile], found: Calibration
) -> None:
    facts = expected_facts(found, profiles, 1)
    _, testing = divided(profiles, FITTING_SHARE, 1)
    policy = found.chosen.candidate.policy
    assert facts["effort_percent"] == pytest.approx(100 * fmean(efforts(policy, testing)), abs=1e-3)
    assert facts["changed_percent"] == pytest.approx(100 * fmean(changes(policy, testing)), abs=1e-3)
    for name in ("effort_percent", "changed_percent"):
        assert float(facts[name]) < float(facts[f"{name}_most"]) < 100
    sure = expected_facts(replace(found, promise=Promise(0.3, 0.999)), profiles, 1)
    assert float(sure["effort_percent_most"]) > float(facts["effort_percent_most"])


def test_where_answers_are_not_known_only_efforts_are_expected(
    profiles: list[ProblemProfile], found: Calibration
) -> None:
    unknown = [
        ProblemProfile(each.id, tuple(Path(p.progress, p.right, p.spent) for p in each.paths)) for each in profiles
    ]
    assert expected_facts(found, unknown, 1).keys() == {"effort_percent", "effort_percent_most"}


def test_a_file_is_held_to_what_it_says_and_anything_else_to_the_usual() -> None:
    stated = {"tolerance_points": 2.0, "confidence": 0.9}
    assert expectation(None) == Expectation(USUAL, 0.005)
    assert expectation(stated) == Expectation(Promise(0.02, 0.9), 0.02)
    bounds = {"changed_percent_most": 5, "effort_percent_most": 40.0}
    assert expectation(stated | bounds) == Expectation(Promise(0.02, 0.9), 0.05, 0.4)


@pytest.mark.parametrize(
    ("promise", "told"),
    [
        ({}, "tolerance_points is None; make one with dynasor calibrate"),
        ({"tolerance_points": 1.0, "confidence": "high"}, "confidence is 'high'"),
        ({"tolerance_points": True, "confidence": 0.9}, "tolerance_points is True"),
        ({"tolerance_points": 1.0, "confidence": 0.9, "effort_percent_most": "x"}, "effort_percent_most is 'x'"),
        ({"tolerance_points": 1.0, "confidence": 1.5}, "confidence is 1.5"),
    ],
)
def test_what_cannot_be_watched_is_refused(promise: dict[str, str | float], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        expectation(promise)
