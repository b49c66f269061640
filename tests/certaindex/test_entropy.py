from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.answers.voting import Ballot
from dynasor.certaindex.entropy import attainable, certaindex_of, entropy_certaindex

# the attainable values at small n, by which a threshold is to be read: 0.7 at n = 5 is unanimity
TABLE = [
    (3, (3,), 1.0), (3, (2, 1), 0.421), (3, (1, 1, 1), 0.0),
    (5, (5,), 1.0), (5, (4, 1), 0.689), (5, (3, 2), 0.582), (5, (3, 1, 1), 0.410), (5, (2, 2, 1), 0.345),
    (5, (2, 1, 1, 1), 0.172), (5, (1, 1, 1, 1, 1), 0.0),
    (16, (15, 1), 0.916), (16, (14, 2), 0.864), (16, (14, 1, 1), 0.833), (16, (13, 3), 0.826), (16, (12, 4), 0.797),
]  # fmt: skip


@pytest.mark.parametrize(("count", "sizes", "value"), TABLE)
def test_the_table_of_attainable_values(count: int, sizes: tuple[int, ...], value: float) -> None:
    assert sum(sizes) == count
    assert certaindex_of(sizes) == pytest.approx(value, abs=5e-4)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_it_is_the_papers_formula(sizes: list[int]) -> None:
    count = sum(sizes)
    if count < 2:
        return
    entropy = -sum(size / count * log(size / count) for size in sizes)
    assert certaindex_of(sizes) == pytest.approx((log(count) - entropy) / log(count), abs=1e-12)


@given(st.integers(2, 200))
def test_unanimity_is_exactly_one_and_discord_exactly_zero(count: int) -> None:
    assert certaindex_of([count]) == 1.0
    assert certaindex_of([1] * count) == 0.0


def test_one_answer_and_none_say_nothing_of_agreement() -> None:
    assert certaindex_of([]) == 0.0
    assert certaindex_of([1]) == 0.0


def test_branches_without_an_answer_are_a_group_but_never_certain() -> None:
    ballot = Ballot()
    for branch in range(4):
        ballot.cast(branch, None)
    assert entropy_certaindex(ballot) == 0.0
    ballot.cast(4, "7")
    assert entropy_certaindex(ballot) == pytest.approx(certaindex_of([4, 1]))


def test_attainable_values_run_from_certain_to_uncertain() -> None:
    assert [round(value, 3) for value in attainable(5)] == [1.0, 0.689, 0.582, 0.41, 0.345, 0.172, 0.0]
    with pytest.raises(ValueError, match="40 at most"):
        attainable(41)


def test_a_reading_is_the_same_however_the_votes_came() -> None:
    votes = ["a"] * 3 + ["b"] * 5 + ["c"] * 9
    forwards, backwards = Ballot(), Ballot()
    for branch, vote in enumerate(votes):
        forwards.cast(branch, vote)
    for branch, vote in enumerate(reversed(votes)):
        backwards.cast(branch, vote)
    assert entropy_certaindex(forwards) == entropy_certaindex(backwards)
