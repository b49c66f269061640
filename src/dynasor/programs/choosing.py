"""Which answer the finished paths of a search come to: by votes, by weighted votes, or that of the best path.

A path's score is made of the rewards of its steps. It knows finished nodes; it does not know how they were grown.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from statistics import fmean

from dynasor.answers.grouping import Grouping
from dynasor.answers.weighted import WeightedBallot
from dynasor.programs.tree import Node

PathScore = Callable[[Node], float]


def _last(rewards: Sequence[float]) -> float:
    return rewards[-1]


REDUCTIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "last": _last,
    "mean": fmean,
    "product": prod,
    "minimum": min,
}
"""Rewards of the steps of a path, first to last -> its score."""


def path_score(reduction: str) -> PathScore:
    """What gives a finished node the score of its path; the name is one of `REDUCTIONS`."""
    reduce = REDUCTIONS[reduction]
    return lambda node: reduce([step.reward for step in node.path])


def by_votes(paths: Iterable[Node], score: PathScore, grouping: Grouping) -> str | None:
    """The answer of most paths."""
    del score
    return _heaviest(paths, lambda _: 1.0, grouping)


def by_weight(paths: Iterable[Node], score: PathScore, grouping: Grouping) -> str | None:
    """The answer whose paths have the greatest sum of scores."""
    return _heaviest(paths, score, grouping)


def by_best(paths: Iterable[Node], score: PathScore, grouping: Grouping) -> str | None:
    """The answer of the path with the best score."""
    del grouping
    scored = ((score(node), -node.index, answer) for node, answer in _answered(paths))
    return max(scored, default=(0.0, 0, None))[2]


Choice = Callable[[Iterable[Node], PathScore, Grouping], str | None]

CHOICES: Mapping[str, Choice] = {"votes": by_votes, "weighted": by_weight, "best": by_best}
"""By name. Equals go to the path that was asked for first; None where no path has an answer."""


def _answered(paths: Iterable[Node]) -> list[tuple[Node, str]]:
    return [(node, node.answer) for node in paths if node.answer is not None]


def _heaviest(paths: Iterable[Node], weight: PathScore, grouping: Grouping) -> str | None:
    ballot = WeightedBallot(grouping)
    for node, answer in _answered(paths):
        ballot.cast(node.index, answer, weight(node))
    return ballot.majority
