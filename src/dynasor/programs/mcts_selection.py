"""Which child an iteration of Monte Carlo tree search goes on to (Rosin 2011; Kocsis and Szepesvári 2006).

A child is worth the mean terminal reward of the iterations that passed it; one that none has passed, the reward of its
step. Iterations that are still below count as visits that brought nothing (virtual loss), so that parallel ones part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Protocol

from dynasor.programs.tree import Node


class Exploration(Protocol):
    """What a child is worth beyond its value, for how little it was visited."""

    def __call__(self, child: Node, passed: int) -> float:
        """The bonus of a child whose parent `passed` iterations have passed, those that are still below included."""
        ...


@dataclass(frozen=True, slots=True)
class Puct:
    """P · (ln((N_p + base + 1) / base) + initial) · √N_p / (1 + N_c), with the policy's probability as prior P."""

    base: float
    initial: float

    def __call__(self, child: Node, passed: int) -> float:
        """The bonus."""
        rate = log((passed + self.base + 1) / self.base) + self.initial
        return child.prior * rate * sqrt(passed) / (1 + child.visits + child.pending)


@dataclass(frozen=True, slots=True)
class Uct:
    """w · √(ln N_p / max(1, N_c)), which asks for no prior."""

    weight: float

    def __call__(self, child: Node, passed: int) -> float:
        """The bonus."""
        return self.weight * sqrt(log(max(1, passed)) / max(1, child.visits + child.pending))


def select(node: Node, exploration: Exploration) -> Node:
    """The open child with the highest value and bonus; equals: the likeliest, then the first.

    The node is one that the asking iteration has come to, and counts it among its `pending`.
    """
    passed = node.visits + node.pending - 1
    return max(
        (child for child in node.children if not child.closed),
        key=lambda child: (value(child) + exploration(child, passed), child.prior, -child.index),
    )


def value(node: Node) -> float:
    """The running mean of the terminal rewards of iterations that passed here; those below count as 0."""
    passed = node.visits + node.pending
    return node.value_sum / passed if passed else node.reward


def set_priors(children: Sequence[Node]) -> None:
    """The policy's probabilities, exp(mean log-probability), made to sum to 1; uniform where one is not known."""
    chances = [0.0 if child.mean_logprob is None else exp(child.mean_logprob) for child in children]
    known = all(child.mean_logprob is not None for child in children) and sum(chances) > 0.0
    for child, chance in zip(children, chances, strict=True):
        child.prior = chance / sum(chances) if known else 1 / len(children)
