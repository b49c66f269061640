from collections.abc import Hashable

from dynasor.answers.behaviour import ByBehaviour
from dynasor.answers.grouping import Grouping
from dynasor.answers.voting import Ballot

OUTPUTS: dict[str, Hashable] = {
    "def f(x): return x + x": (2, 4),
    "def f(x): return 2 * x": (2, 4),
    "def f(x): return x": (1, 2),
}


def test_programs_that_do_the_same_are_one_group() -> None:
    ballot = Ballot(ByBehaviour(OUTPUTS.get))
    for branch, program in enumerate(OUTPUTS):
        ballot.cast(branch, program)
    assert sorted(ballot.counts) == [1, 2]
    assert ballot.majority == "def f(x): return x + x"


def test_programs_without_a_behaviour_go_by_their_code() -> None:
    grouping: Grouping = ByBehaviour(lambda answer: None)
    assert grouping.place("x = 1  # one") == grouping.place("x=1")
    assert grouping.place("x = 1") != grouping.place("x = 2")


def test_code_is_never_a_behaviour() -> None:
    grouping = ByBehaviour({"a": "b"}.get)
    assert grouping.place("a") != grouping.place("b")


def test_a_behaviour_is_asked_for_once_per_answer() -> None:
    asked: list[str] = []

    def behaviour(answer: str) -> Hashable:
        asked.append(answer)
        return len(answer)

    grouping = ByBehaviour(behaviour)
    assert [grouping.place(answer).group for answer in ("a", "b", "a")] == [("behaviour", 1)] * 3
    assert asked == ["a", "b"]
