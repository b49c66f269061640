"""The tree that Rebase and MCTS grow: a node is one step of reasoning, a path from the root is a branch (paper 2.1).

It knows neither requests nor why it grows. It is never written as such: the journal holds the completions of its steps,
and the program that is given them again grows the same tree.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from operator import attrgetter


class End(StrEnum):
    """Why nothing follows a node."""

    ANSWER = "answer"  # its path states an answer
    MODEL = "model"  # the model came to its end
    LENGTH = "length"  # the step, or the whole path, is as long as it may be
    DEPTH = "depth"  # the path has as many steps as it may have


@dataclass(slots=True, eq=False)
class Node:
    """One step of reasoning.

    Attributes:
        index: of the request that made it, among its program's requests; -1 for the root, which holds no step.
        text: what the step adds to the path, the stop string included where more is to follow.
        depth: steps from the root to here.
        tokens: generated tokens of all steps from the root to here; estimated where a server did not tell.
        reward: how likely everything so far is right, in [0, 1].
        mean_logprob: mean natural logarithm of the probabilities of the step's tokens, where it is known.
        end: why nothing follows; None while something may.
        answer: of a path that has ended, if it has one.
        children: the steps that follow, in the order in which they were asked for.
        prior: MCTS: the share of the policy's probability among its siblings.
        visits, value_sum: MCTS: iterations that passed here, and the sum of their terminal rewards.
        pending: MCTS: iterations that are below, and have not ended.
        closed: MCTS: every path through here has been a candidate.
    """

    index: int
    parent: "Node | None" = field(default=None, repr=False)
    text: str = ""
    depth: int = 0
    tokens: int = 0
    reward: float = 0.0
    mean_logprob: float | None = None
    end: End | None = None
    answer: str | None = None
    children: list["Node"] = field(default_factory=list, repr=False)
    prior: float = 0.0
    visits: int = 0
    value_sum: float = 0.0
    pending: int = 0
    closed: bool = False

    @property
    def upwards(self) -> Iterator["Node"]:
        """This node and those above it, the root last."""
        node: Node | None = self
        while node is not None:
            yield node
            node = node.parent

    @property
    def path(self) -> list["Node"]:
        """The steps from below the root to here."""
        return [node for node in self.upwards if node.parent is not None][::-1]

    @property
    def path_text(self) -> str:
        """What the model has said so far, in time linear in its length."""
        return "".join(node.text for node in self.path)


class Tree:
    """All nodes of one program.

    Attributes:
        root: where every path begins.
        nodes: those that have landed, by index; also copies of a step, which are nobody's child.
    """

    def __init__(self) -> None:
        self.root = Node(-1)
        self.nodes: dict[int, Node] = {}

    def walk(self) -> Iterator[Node]:
        """Every node that hangs below the root, parents before their children, first children first."""
        waiting = self.root.children[::-1]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += node.children[::-1]


def families(nodes: Iterable[Node]) -> Iterator[tuple[Node, list[Node]]]:
    """Nodes by their parents; siblings stand next to each other."""
    return ((parent, list(children)) for parent, children in groupby(nodes, key=attrgetter("parent")))
