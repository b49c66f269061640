import pytest

from dynasor.answers.grouping import ByEquality, ByNormalForm
from dynasor.programs.choosing import CHOICES, path_score
from dynasor.programs.tree import Node


def path(index: int, answer: str | None, *rewards: float) -> Node:
    node = Node(-1)
    for depth, reward in enumerate(rewards, 1):
        node = Node(index if depth == len(rewards) else 100 + index, node, reward=reward)
    node.answer = answer
    return node


@pytest.mark.parametrize(("name", "score"), [("last", 0.5), ("mean", 2.3 / 3), ("product", 0.4), ("minimum", 0.5)])
def test_a_paths_score_is_made_of_its_steps(name: str, score: float) -> None:
    assert path_score(name)(path(3, "7", 0.8, 1.0, 0.5)) == pytest.approx(score)
    assert path_score(name)(path(3, "7", 0.25)) == 0.25


def test_votes_weights_and_the_best_may_each_say_otherwise() -> None:
    paths = [path(4, "1", 0.1), path(1, "1", 0.1), path(2, "1", 0.1), path(3, "2", 0.5), path(5, "2", 0.5)]
    paths += [path(6, "3", 0.9), path(0, None, 1.0)]
    said = {name: choose(paths, path_score("last"), ByNormalForm()) for name, choose in CHOICES.items()}
    assert said == {"votes": "1", "weighted": "2", "best": "3"}


@pytest.mark.parametrize("name", CHOICES)
def test_equals_go_to_the_path_that_was_asked_for_first_however_they_landed(name: str) -> None:
    paths = [path(2, "b", 0.5), path(1, "a", 0.5)]
    assert CHOICES[name](paths, path_score("last"), ByNormalForm()) == "a"
    assert CHOICES[name](paths[::-1], path_score("last"), ByNormalForm()) == "a"


@pytest.mark.parametrize("name", CHOICES)
def test_without_any_answer_there_is_none(name: str) -> None:
    assert CHOICES[name]([path(0, None, 1.0)], path_score("last"), ByNormalForm()) is None


def test_groups_that_prove_to_be_one_are_weighed_together() -> None:
    def same(one: str, other: str) -> bool:
        return one == "half" or other == "half"

    paths = [path(0, "0.50", 0.3), path(1, "7", 0.5), path(2, "50 %", 0.3), path(3, "half", 0.0)]
    assert CHOICES["weighted"](paths[:3], path_score("last"), ByEquality(same)) == "7"
    assert CHOICES["weighted"](paths[:1] + paths[2:], path_score("last"), ByEquality(same)) == "0.50"
