from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.answers.semantic import BySimilarity
from dynasor.errors import UsageError

DIRECTIONS = {"east": (2.0, 0.0), "east-north-east": (3.0, 1.0), "north-east": (1.0, 1.0), "north": (0.0, 5.0)}
NEIGHBOURS = 0.85  # cosines: east and east-north-east .949, that and north-east .894, north-east and north .707


def groups_of(grouping: BySimilarity, answers: list[str]) -> list[object]:
    for answer in answers:
        grouping.place(answer)
    return [grouping.place(answer).group for answer in answers]


def test_answers_are_the_same_where_their_cosine_reaches_the_threshold() -> None:
    east, near, north = groups_of(BySimilarity(DIRECTIONS.__getitem__, 0.9), ["east", "east-north-east", "north"])
    assert east == near != north
    apart = groups_of(BySimilarity(DIRECTIONS.__getitem__, 0.95), ["east", "east-north-east"])
    assert apart[0] != apart[1]


@given(st.permutations(list(DIRECTIONS)))
def test_groups_are_closed_under_transitivity_in_any_order(answers: list[str]) -> None:
    groups = dict(zip(answers, groups_of(BySimilarity(DIRECTIONS.__getitem__, NEIGHBOURS), answers), strict=True))
    for a, b in product(answers, repeat=2):
        assert (groups[a] == groups[b]) == ((a == "north") == (b == "north")), (a, b)


def test_an_answer_between_two_groups_joins_them() -> None:
    grouping = BySimilarity(DIRECTIONS.__getitem__, NEIGHBOURS)
    first, second = grouping.place("east").group, grouping.place("north-east").group
    assert first != second
    placement = grouping.place("east-north-east")
    assert {placement.group, *placement.joined} == {first, second}


@pytest.mark.parametrize(("a", "b"), [("12", "13"), ("A", "B"), ("0.5", "one half"), ("3,000", "3000 and more")])
def test_numbers_and_single_characters_are_near_nothing(a: str, b: str) -> None:
    def no_vector(text: str) -> tuple[float, ...]:
        raise AssertionError(f"there is no need to embed {text}")

    first, second = groups_of(BySimilarity(no_vector), [a, b])
    assert first != second


def test_spellings_of_a_number_are_still_one_answer() -> None:
    assert len(set(groups_of(BySimilarity(DIRECTIONS.__getitem__), ["0.5", "1/2"]))) == 1


def test_a_text_without_a_direction_is_near_nothing_but_itself() -> None:
    first, second, again = groups_of(BySimilarity(lambda text: (0.0, 0.0)), ["so it is", "or not", "so it is"])
    assert first == again != second


def test_a_text_is_embedded_once() -> None:
    asked: list[str] = []

    def embed(text: str) -> tuple[float, float]:
        asked.append(text)
        return DIRECTIONS[text]

    groups_of(BySimilarity(embed), [*DIRECTIONS, *DIRECTIONS])
    assert sorted(asked) == sorted(DIRECTIONS)


@pytest.mark.parametrize("threshold", [0.0, -0.5, 1.01, float("nan")])
def test_a_threshold_is_a_cosine(threshold: float) -> None:
    with pytest.raises(UsageError, match="the similarity threshold is"):
        BySimilarity(DIRECTIONS.__getitem__, threshold)
