from collections import Counter
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.answers.grouping import ByEquality, ByText
from dynasor.answers.voting import Ballot

answers = st.lists(st.sampled_from(["a", "b", "c", "d", None]), max_size=40)


def ballot_of(votes: list[str | None], order: list[int] | None = None) -> Ballot:
    ballot = Ballot(ByText())
    for branch in order if order is not None else range(len(votes)):
        ballot.cast(branch, votes[branch])
    return ballot


def expected_majority(votes: list[str | None]) -> str | None:
    counts = Counter(vote for vote in votes if vote is not None)
    return max(counts, key=lambda answer: (counts[answer], -votes.index(answer)), default=None)


def test_the_most_frequent_answer_wins() -> None:
    assert ballot_of(["a", "b", "b", "c"]).majority == "b"


def test_a_tie_goes_to_the_answer_reached_first() -> None:
    assert ballot_of(["b", "a", "a", "b"]).majority == "b"


def test_no_answer_never_wins_while_any_answer_exists() -> None:
    assert ballot_of([None, None, None, "a"]).majority == "a"
    assert ballot_of([None, None]).majority is None
    assert ballot_of([]).majority is None


@given(answers, st.randoms(use_true_random=False))
def test_the_order_of_landing_changes_nothing(votes: list[str | None], random: "st.DrawFn") -> None:
    order = list(range(len(votes)))
    random.shuffle(order)  # type: ignore[attr-defined]
    first, second = ballot_of(votes), ballot_of(votes, order)
    assert first.majority == second.majority == expected_majority(votes)
    assert first.concentration == second.concentration
    assert sorted(first.counts) == sorted(second.counts)
    left, right = first.votes(), second.votes()
    assert (left.leader, left.runner_up, left.groups) == (right.leader, right.runner_up, right.groups)
    assert left.leader_wins_ties == right.leader_wins_ties


@given(answers)
def test_running_figures_agree_with_counting_anew(votes: list[str | None]) -> None:
    ballot = ballot_of(votes)
    named = sorted(Counter(vote for vote in votes if vote is not None).values(), reverse=True)
    seen = ballot.votes()
    assert seen.cast == len(votes)
    assert (seen.leader, seen.runner_up) == ((*named, 0, 0)[0], (*named, 0, 0)[1])
    assert seen.groups == len(set(votes))
    if len(votes) > 1:
        whole = sum(count * log(count) for count in Counter(votes).values()) / (len(votes) * log(len(votes)))
        assert ballot.concentration == pytest.approx(whole, abs=1e-12)


def test_a_streak_counts_the_latest_votes_that_agree() -> None:
    assert ballot_of(["a", "b", "b", "b"]).votes().streak == 3
    assert ballot_of(["a", "b", "b", None]).votes().streak == 0
    assert ballot_of([None, "b"]).votes().streak == 1


def test_ties_are_safe_only_when_nothing_earlier_can_still_land() -> None:
    assert ballot_of(["a", "a", "b"]).votes().leader_wins_ties
    assert not ballot_of(["b", "a", "a"]).votes().leader_wins_ties, "b came first and would win a tie"
    late = Ballot(ByText())
    late.cast(1, "a")
    assert not late.votes().leader_wins_ties, "branch 0 may still land with another answer"
    late.abstain(0)
    assert late.votes().leader_wins_ties, "branch 0 failed"


def test_groups_that_prove_equal_are_counted_together() -> None:
    ballot = Ballot(ByEquality(lambda a, b: {a, b} <= {"x", "half"} or {a, b} <= {"half", "y"}))
    for branch, answer in enumerate(["x", "y", "z", "z", "y"]):
        ballot.cast(branch, answer)
    assert ballot.majority == "y"
    ballot.cast(5, "half")  # equals both x and y, which so turn out to be one group
    assert ballot.majority == "x", "the joined group is known by its lowest-numbered branch"
    assert sorted(ballot.counts) == [2, 4]
    assert ballot.votes().leader == 4
    assert ballot.concentration == pytest.approx((2 * log(2) + 4 * log(4)) / (6 * log(6)))


def test_a_joined_group_is_named_after_its_first_branch_however_its_parts_landed() -> None:
    ballot = Ballot(ByEquality(lambda a, b: "half" in (a, b)))
    ballot.cast(3, "x")
    ballot.cast(1, "y")
    ballot.cast(2, "half")
    assert ballot.majority == "y"
    assert ballot.votes().streak == 2, "the last two turned out to agree"
    assert ballot.votes().leader_wins_ties is False, "branch 0 has not landed"
