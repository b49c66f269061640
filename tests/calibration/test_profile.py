"""What a recording says of a problem at every knob."""

import pytest

from dynasor.allocation.baselines import Even
from dynasor.allocation.compose import FirstToStop
from dynasor.allocation.decided import Decided
from dynasor.allocation.progress import Policy
from dynasor.allocation.threshold import StaticThreshold, SteppedThreshold
from dynasor.answers.voting import Votes
from dynasor.bench.replays import Contender, compare_policies
from dynasor.calibration.candidates import Candidate, measured
from dynasor.calibration.profile import profiled
from dynasor.certaindex.entropy import certaindex_of
from dynasor.datasets.problem import Problem, Recording
from dynasor.errors import UsageError
from dynasor.programs.best_of_n import BestOfN
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.request import Sample
from support.profiles import path_of, profile_of, recording, setup_at, synthetic


def test_a_path_holds_every_knob_from_nothing_to_the_cap() -> None:
    path = path_of("baac")
    assert path.cap == 4
    assert path.right == (0.0, 0.0, 0.0, 1.0, 1.0)
    assert [step.knob for step in path.progress] == [0, 1, 2, 3, 4]
    assert [step.certaindex for step in path.progress] == [
        0.0,
        0.0,
        0.0,
        certaindex_of([2, 1]),
        certaindex_of([2, 1, 1]),
    ]
    assert path.progress[3].votes == Votes(cast=3, leader=2, runner_up=1, groups=2, streak=2)
    assert (path.progress[0].tokens, path.progress[4].tokens) == (0, 10 + 11 + 12 + 13)


@pytest.mark.parametrize(
    ("answers", "needed"),
    [("aaaa", 1), ("baaa", 3), ("abaa", 1), ("abba", 4), ("bbaaa", 5), ("abbb", None), ("b", None)],
)
def test_needed_is_from_where_on_the_answer_is_right(answers: str, needed: int | None) -> None:
    assert path_of(answers).needed == needed


def test_a_policy_stops_a_path_where_it_stops_a_program() -> None:
    path = path_of("aabaaaaaaa")
    assert path.stopped_at(Even()) == 10
    assert path.stopped_at(StaticThreshold(0.7, 2)) == 2
    assert path.stopped_at(StaticThreshold(0.7, 3)) == 10
    assert path.stopped_at(SteppedThreshold(0.7, 3, 1)) == 6, "five of six: 0.749"
    assert path.stopped_at(Decided()) == 6


@pytest.mark.parametrize(
    "policy", [Decided(), SteppedThreshold(0.6, 3, 2), FirstToStop((Decided(), StaticThreshold(0.6, 4)))]
)
def test_profiles_agree_with_the_sessions_that_serve_runs(policy: Policy) -> None:
    recordings = synthetic(20, 9, seed=1)
    _, row, _ = compare_policies(recordings, [Contender("it", lambda id: policy)], cap=9, orders=3)
    found = measured(Candidate("it", policy), profiled(recordings, SelfConsistency, setup_at(9), orders=3))
    assert sum(found.spent) / 20 == pytest.approx(row.tokens.value)
    assert -found.loss == pytest.approx(row.accuracy_difference.value)
    assert found.saving.value == pytest.approx(row.saved.value)


def test_orders_are_seeded_and_differ() -> None:
    first, second, *_ = profile_of("p", "aaaabbbbcc", orders=3).paths
    assert first != second
    assert profile_of("p", "aaaabbbbcc", orders=3).paths[0] == first


def test_problems_with_too_few_samples_are_left_out() -> None:
    some = [recording("long", "aaaa"), recording("short", "aaa")]
    assert [profile.id for profile in profiled(some, SelfConsistency, setup_at(4), orders=1)] == ["long"]
    with pytest.raises(UsageError, match="the cap is 5, and no problem of the recording has as many samples"):
        profiled(some, SelfConsistency, setup_at(5), orders=1)


def test_a_problem_without_a_right_answer_is_refused() -> None:
    unlabelled = Recording(Problem("p7", "?"), (Sample("a", 1),) * 3)
    with pytest.raises(UsageError, match="problem 'p7' has no right answer"):
        profiled([unlabelled], SelfConsistency, setup_at(3), orders=1)


def test_an_algorithm_without_a_vote_is_refused() -> None:
    with pytest.raises(UsageError, match="BestOfN does not answer by majority"):
        profiled([recording("p", "aaa")], BestOfN, setup_at(3), orders=1)


def test_in_flight_the_short_branches_land_first_and_cut_ones_are_paid_for() -> None:
    samples = (Sample("a", 30), Sample("b", 10), Sample("b", 20))
    problem = Problem("p", "?", verdicts={"a": 1.0})
    (profile,) = profiled([Recording(problem, samples)], SelfConsistency, setup_at(3), orders=1, in_flight=True)
    (path,) = profile.paths
    assert path.spent == (0, 30, 50, 60), "3 x 10, 10 + 2 x 20, and all of it"
    assert [each.tokens for each in path.progress] == [0, 10, 30, 60]
    assert path.right == (0.0, 0.0, 0.0, 0.0)


def test_in_flight_profiles_agree_with_the_sessions_that_serve_runs() -> None:
    recordings = synthetic(20, 9, seed=1)
    policy = FirstToStop((Decided(), SteppedThreshold(0.6, 3, 2)))
    _, row, _ = compare_policies(recordings, [Contender("it", lambda id: policy, in_flight=True)], cap=9, orders=3)
    profiles = profiled(recordings, SelfConsistency, setup_at(9), orders=3, in_flight=True)
    found = measured(Candidate("it", policy), profiles)
    assert sum(found.spent) / 20 == pytest.approx(row.tokens.value)
    assert -found.loss == pytest.approx(row.accuracy_difference.value)
