from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.answers.grouping import ByEquality, ByText
from dynasor.answers.voting import Ballot
from dynasor.answers.weighted import WeightedBallot
from dynasor.certaindex.entropy import entropy_certaindex
from dynasor.errors import ProgramError

Vote = tuple[str | None, float]
votes = st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.floats(0, 1)), max_size=10)


def ballot_of(cast: list[Vote], order: list[int] | None = None) -> WeightedBallot:
    ballot = WeightedBallot(ByText())
    for branch in range(len(cast)) if order is None else order:
        answer, weight = cast[branch]
        if answer is None:
            ballot.cast_without_answer()
        else:
            ballot.cast(branch, answer, weight)
    return ballot


def test_weight_beats_number() -> None:
    ballot = ballot_of([("a", 0.2), ("a", 0.2), ("b", 0.5)])
    assert ballot.majority == "b"
    assert ballot.share == pytest.approx(0.5 / 0.9)


def test_a_tie_goes_to_the_lowest_numbered_branch() -> None:
    cast: list[Vote] = [("b", 0.3), ("a", 0.1), ("a", 0.2)]
    assert {ballot_of(cast, list(order)).majority for order in permutations(range(3))} == {"a"}, "0.1 + 0.2 > 0.3"
    equal: list[Vote] = [("b", 0.25), ("a", 0.125), ("a", 0.125)]
    assert {ballot_of(equal, list(order)).majority for order in permutations(range(3))} == {"b"}


def test_without_answers_there_is_no_majority() -> None:
    for ballot in (ballot_of([]), ballot_of([(None, 0.0), (None, 0.0)])):
        assert (ballot.majority, ballot.share, ballot.certaindex) == (None, 0.0, 0.0)


def test_answers_that_weigh_nothing_still_beat_none() -> None:
    ballot = ballot_of([("a", 0.0), ("b", 0.0), (None, 0.0)])
    assert (ballot.majority, ballot.share, ballot.certaindex) == ("a", 0.0, 0.0)


def test_a_branch_without_an_answer_counts_as_much_as_the_mean_of_the_others() -> None:
    ballot = ballot_of([("a", 0.2), ("a", 0.4), (None, 0.0)])
    assert ballot.share == pytest.approx(0.6 / 0.9)
    assert (ballot.cast_count, ballot.unanswered) == (3, 1)


@given(votes, st.randoms(use_true_random=False))
def test_the_order_of_landing_changes_nothing(cast: list[Vote], random: "st.DrawFn") -> None:
    order = list(range(len(cast)))
    random.shuffle(order)  # type: ignore[attr-defined]
    first, second = ballot_of(cast), ballot_of(cast, order)
    assert (first.majority, first.share, first.certaindex) == (second.majority, second.share, second.certaindex)


@given(votes)
def test_the_majority_has_the_greatest_exact_sum(cast: list[Vote]) -> None:
    sums: dict[str, Fraction] = {}
    for answer, weight in cast:
        if answer is not None:
            sums[answer] = sums.get(answer, Fraction(0)) + Fraction(weight)
    majority = ballot_of(cast).majority
    assert majority == max(sums, key=lambda answer: float(sums[answer]), default=None)


@given(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=20), st.sampled_from([0.25, 1.0, 3.0]))
def test_where_all_weigh_the_same_it_is_the_plain_vote(answers: list[str | None], weight: float) -> None:
    plain = Ballot(ByText())
    for branch, answer in enumerate(answers):
        plain.cast(branch, answer)
    weighted = ballot_of([(answer, weight) for answer in answers])
    assert weighted.majority == plain.majority
    assert weighted.certaindex == pytest.approx(entropy_certaindex(plain), abs=1e-12)


@given(votes)
def test_certaindex_is_a_reading(cast: list[Vote]) -> None:
    assert 0.0 <= ballot_of(cast).certaindex <= 1.0


def test_certaindex_is_one_for_agreement_and_follows_the_weights() -> None:
    assert ballot_of([("a", 0.1), ("a", 0.7), ("a", 0.3)]).certaindex == 1.0
    doubted = ballot_of([("a", 0.9), ("a", 0.9), ("b", 0.1)]).certaindex
    even = ballot_of([("a", 0.5), ("a", 0.5), ("b", 0.5)]).certaindex
    assert 1.0 > doubted > even > 0.0
    assert ballot_of([("a", 0.9)]).certaindex == 0.0, "one answer says nothing about agreement"


def test_groups_that_turn_out_to_be_one_add_their_weights() -> None:
    ballot = WeightedBallot(ByEquality(lambda a, b: abs(len(a) - len(b)) == 1))
    ballot.cast(2, "xxx", 0.3)
    ballot.cast(0, "xxxxxx", 0.5)
    ballot.cast(1, "x", 0.3)
    assert ballot.majority == "xxxxxx"
    ballot.cast(3, "xx", 0.1)
    assert (ballot.majority, ballot.cast_count) == ("x", 4), "spelt as the group's lowest-numbered branch did"
    assert ballot.share == pytest.approx(0.7 / 1.2)


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_a_weight_is_a_number_of_at_least_0(weight: float) -> None:
    with pytest.raises(ProgramError, match="branch 7 weighs"):
        WeightedBallot().cast(7, "a", weight)


def test_a_weight_too_small_to_be_a_share_counts_for_nothing() -> None:
    ballot = WeightedBallot()
    for branch, (answer, weight) in enumerate([("a", 1.0), ("a", 1.0), ("b", 5e-324)]):
        ballot.cast(branch, answer, weight)
    assert ballot.certaindex == 1.0
