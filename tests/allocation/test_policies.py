from collections.abc import Callable
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.allocation.baselines import Beta, Even, Length, Windows, leads_for_good, votes_missing
from dynasor.allocation.compose import FirstToStop
from dynasor.allocation.decided import Decided
from dynasor.allocation.progress import Grant, Policy, Progress
from dynasor.allocation.threshold import StaticThreshold, SteppedThreshold
from dynasor.answers.voting import Votes
from dynasor.errors import UsageError


def test_even_grants_all_that_remains() -> None:
    assert Even()(Progress(knob=3, cap=20, certaindex=1.0)) == Grant(17)


def test_static_judges_once_at_the_detection_step() -> None:
    policy = StaticThreshold(threshold=0.7, detect_at=5)
    assert policy(Progress(0, 20)) == Grant(5)
    assert policy(Progress(5, 20, certaindex=0.69)) == Grant(15)
    assert policy(Progress(5, 20, certaindex=0.7)) == Grant(0, "certain"), "the threshold itself is certain enough"


@pytest.mark.parametrize(
    ("policy", "grant"),
    [
        (StaticThreshold(threshold=0.7, detect_at=5), Grant(12)),
        (SteppedThreshold(threshold=0.7, detect_at=5, step=5), Grant(2)),
        (Length(tokens=300, detect_at=5), Grant(12)),
        (Windows(window=5), Grant(2)),
    ],
)
def test_a_policy_judges_nowhere_but_where_its_rule_says(policy: Policy, grant: Grant) -> None:
    certain = Progress(8, 20, certaindex=1.0, tokens=10, votes=Votes(8, 8, 0, 1, 8, True))
    assert policy(certain) == grant


def test_stepped_judges_at_every_step() -> None:
    policy = SteppedThreshold(threshold=0.7, detect_at=5, step=2)
    assert policy(Progress(0, 20)) == Grant(5)
    assert policy(Progress(5, 20, certaindex=0.5)) == Grant(2)
    assert policy(Progress(7, 20, certaindex=0.9)) == Grant(0, "certain")


def test_length_goes_on_where_branches_are_long() -> None:
    policy = Length(tokens=300, detect_at=5)
    assert policy(Progress(0, 20)) == Grant(5)
    assert policy(Progress(5, 20, tokens=301)) == Grant(15)
    assert policy(Progress(5, 20, tokens=300)) == Grant(0, "short")


def test_windows_stop_when_a_whole_window_agrees() -> None:
    policy = Windows(window=5)
    assert policy(Progress(0, 40)) == Grant(5)
    assert policy(Progress(10, 40, votes=Votes(streak=4))) == Grant(5)
    assert policy(Progress(10, 40, votes=Votes(streak=5))) == Grant(0, "window agrees")


@pytest.mark.parametrize(("leader", "runner_up"), [(4, 0), (6, 1), (8, 2), (9, 3)])
def test_beta_is_satisfied_first_where_the_original_is(leader: int, runner_up: int) -> None:
    assert leads_for_good(leader, runner_up) >= 0.95
    assert leads_for_good(leader - 1, runner_up) < 0.95


def test_beta_grants_the_fewest_votes_that_could_satisfy_it() -> None:
    policy = Beta(confidence=0.95)
    assert policy(Progress(0, 40)) == Grant(4)
    assert policy(Progress(4, 40, votes=Votes(leader=3, runner_up=1))) == Grant(3)
    assert policy(Progress(7, 40, votes=Votes(leader=6, runner_up=1))) == Grant(0, "leader is likely")


@given(st.integers(0, 300), st.integers(0, 300))
def test_beta_is_the_binomial_tail(leader: int, runner_up: int) -> None:
    total = leader + runner_up + 1
    assert leads_for_good(leader, runner_up) == pytest.approx(sum(comb(total, k) for k in range(leader + 1)) / 2**total)


def test_beta_stays_quick_for_a_hundred_thousand_votes() -> None:
    assert leads_for_good(50_500, 50_000) == pytest.approx(0.9428, abs=2e-3)
    assert votes_missing(50_000, 50_000, 0.95) == pytest.approx(521, abs=10)


def vote_of(rest: list[str], drawn: int) -> Progress:
    from dynasor.answers.grouping import ByText
    from dynasor.answers.voting import Ballot

    ballot = Ballot(ByText())
    for branch, answer in enumerate(rest[:drawn]):
        ballot.cast(branch, answer)
    return Progress(drawn, len(rest), votes=ballot.votes())


def majority(votes: list[str]) -> str:
    return max(votes, key=lambda answer: (votes.count(answer), -votes.index(answer)))


@given(st.lists(st.sampled_from("aabc"), min_size=1, max_size=12), st.data())
def test_decided_stops_exactly_when_no_ending_can_change_the_answer(votes: list[str], data: st.DataObject) -> None:
    drawn = data.draw(st.integers(1, len(votes)))
    stopped = not Decided()(vote_of(votes, drawn))
    if stopped:
        for ending in ("a", "b", "c", "z"):
            assert majority(votes[:drawn] + [ending] * (len(votes) - drawn)) == majority(votes[:drawn])
    elif len(votes) - drawn > 0:
        before = majority(votes[:drawn])
        endings = [majority(votes[:drawn] + [ending] * (len(votes) - drawn)) for ending in ("a", "b", "c", "z")]
        assert any(ending != before for ending in endings) or _leader_not_first(votes, drawn)


def _leader_not_first(votes: list[str], drawn: int) -> bool:
    """Where the leader is not the first answer of all, `decided` does not look which later answer would win a tie."""
    return majority(votes[:drawn]) != votes[0]


@given(st.lists(st.sampled_from("aabc"), min_size=1, max_size=14))
def test_decided_loses_no_saving_by_granting_several_at_once(votes: list[str]) -> None:
    one_by_one = next(n for n in range(1, len(votes) + 1) if n == len(votes) or not Decided()(vote_of(votes, n)))
    drawn = 0
    while drawn < len(votes) and (grant := Decided()(vote_of(votes, drawn))):
        drawn += grant.knob
    assert drawn == one_by_one


def test_decided_waits_while_nobody_has_answered() -> None:
    assert Decided()(Progress(10, 10, votes=Votes(cast=10, groups=1)))


def test_the_first_to_stop_stops_and_the_smallest_grant_holds() -> None:
    policy = FirstToStop((Decided(), StaticThreshold(0.7, 5)))
    assert policy(Progress(0, 20)) == Grant(5)
    assert policy(Progress(5, 20, certaindex=1.0, votes=Votes(5, 5, 0, 1, 5, True))) == Grant(0, "certain")
    assert policy(Progress(11, 20, certaindex=0.1, votes=Votes(11, 11, 0, 1))).reason == "decided"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StaticThreshold(threshold=1.5), "threshold is 1.5; it must be between 0.0 and 1.0"),
        (lambda: StaticThreshold(threshold=float("nan")), "threshold is nan; it must be between 0.0 and 1.0"),
        (lambda: StaticThreshold(detect_at=0), "detect_at is 0; it must be at least 1"),
        (lambda: SteppedThreshold(step=0), "step is 0; it must be at least 1"),
        (lambda: Windows(window=1), "window is 1; it must be at least 2"),
        (lambda: Beta(confidence=1.0), "confidence is 1.0"),
        (lambda: Length(tokens=-1), "tokens is -1"),
    ],
)
def test_settings_that_cannot_be_are_refused(make: Callable[[], Policy], message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        make()
