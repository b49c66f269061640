from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from dynasor.answers.grouping import ByEquality, ByNormalForm, ByText, Grouping

spellings = st.sampled_from(["1/2", "0.5", r"\frac12", "2", "2.0", "3", "x", "y", "1,000", "1000"])


def groups_of(grouping: Grouping, answers: list[str]) -> list[object]:
    """The final group of every answer: a later answer may join groups."""
    for answer in answers:
        grouping.place(answer)
    return [grouping.place(answer).group for answer in answers]


def near(a: str, b: str) -> bool:
    """A test that is not transitive: 1 is near 2, 2 is near 3, 1 is not near 3."""
    return len(a) == len(b) == 1 and abs(ord(a) - ord(b)) <= 1


@given(st.lists(spellings, max_size=12))
def test_normal_forms_group_by_an_equivalence(answers: list[str]) -> None:
    groups = groups_of(ByNormalForm(), answers)
    for (a, left), (b, right) in product(zip(answers, groups, strict=True), repeat=2):
        assert (a == b) <= (left == right)
    assert (groups_of(ByNormalForm(), ["0.5", "1/2"])[0]) == groups_of(ByNormalForm(), [r"\frac12"])[0]


@given(st.lists(st.sampled_from("aceghbdf"), max_size=12))
def test_equality_is_closed_under_transitivity_in_any_order(answers: list[str]) -> None:
    groups = groups_of(ByEquality(near), answers)
    there = set(answers)
    for (a, left), (b, right) in product(zip(answers, groups, strict=True), repeat=2):
        between = {chr(code) for code in range(min(ord(a), ord(b)), max(ord(a), ord(b)) + 1)}
        assert (left == right) == (between <= there), (a, b)


def test_the_test_is_not_asked_about_equal_normal_forms() -> None:
    asked: list[tuple[str, str]] = []

    def same(a: str, b: str) -> bool:
        asked.append((a, b))
        return False

    grouping = ByEquality(same)
    assert grouping.place("0.5").group == grouping.place("1/2").group
    assert asked == []


def test_text_takes_spellings_at_their_word() -> None:
    assert groups_of(ByText(), ["0.5", "1/2"]) == ["0.5", "1/2"]
