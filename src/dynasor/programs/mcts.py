"""Monte Carlo tree search over steps of reasoning (paper 2.1; Feng et al. 2023, arXiv 2309.17179). Knob: iterations.

An iteration goes down from the root, by value and exploration, to a node that nothing follows yet; asks for steps
there; goes on down, and so forth to the end of a path. That path is its candidate, and its reward counts at every node
that it passed. A path is a candidate once: iterations go where there are paths that were none, so that equal answers
always come from different paths. An iteration whose steps all fail is spent without a candidate.
"""

from collections.abc import Generator, Sequence
from typing import Any, ClassVar

from dynasor.programs.mcts_selection import select, set_priors
from dynasor.programs.mcts_settings import MctsSettings
from dynasor.programs.search import Search
from dynasor.programs.steps import Execution, Step
from dynasor.programs.tree import Node, families
from dynasor.request import Completion


class Mcts(Search):
    """Iterate; answer by the votes of the candidates."""

    settings: ClassVar[MctsSettings] = MctsSettings()
    detect_at = 3
    reward_signal = "reward-mean"

    def execute(self) -> Execution:
        """Iterate as often as is granted, until nothing more is or every path has been a candidate."""
        while not self.tree.root.closed and (knob := (yield self.claim())):
            yield from self._iterate(self.knob + knob)
        return self.chosen()

    @property
    def wants_logprobs(self) -> bool:
        """Also for the priors."""
        return super().wants_logprobs or self.settings.selection == "puct"

    def place(self, node: Node) -> None:
        """A path votes when an iteration ends with it, not when it lands."""

    def _iterate(self, goal: int) -> Generator[Step, Any, None]:
        """Turn the knob to the goal; a gang that was cut ends it."""
        places: list[Node] = []  # where the iterations stand that have not ended: nothing follows there yet
        while self.knob < goal and not self.tree.root.closed:
            fresh = min(self.settings.parallel, goal - self.knob) - len(places)
            places = self._descend([*places, *(self._begin() for _ in range(fresh))])
            if not places:
                continue
            leaves = dict.fromkeys(places)
            requests = [request for leaf in leaves for request in self.steps(leaf, self.settings.expand)]
            landed: list[Completion] = yield self.gang(requests, knob=0)
            for leaf, nodes in families(self.grown(landed)):
                _expand(leaf, nodes)
            if len(landed) < len(requests):
                _leave(places)
                return
            places = self._without_barren(places)

    def _begin(self) -> Node:
        self.tree.root.pending += 1
        return self.tree.root

    def _descend(self, places: Sequence[Node]) -> list[Node]:
        """Let each iteration go down as far as there are steps; where it comes to the end of a path, it ends."""
        explores, waiting = self.settings.explores, []
        for place in places:
            node = place
            while node.children and not node.closed:
                node = select(node, explores)
                node.pending += 1
            if node.end is not None:
                self._back_up(node)
            elif node.closed:  # others have taken all paths below; another begins in its stead
                _leave([node])
            else:
                waiting.append(node)
        return waiting

    def _back_up(self, leaf: Node) -> None:
        """An iteration ends: its path is a candidate, and counts wherever it passed."""
        for node in leaf.upwards:
            node.pending -= 1
            node.visits += 1
            node.value_sum += leaf.reward
        _close(leaf)
        self.vote(leaf)

    def _without_barren(self, places: Sequence[Node]) -> list[Node]:
        """Those where steps have come; where all have failed, the iterations are spent."""
        barren = [node for node in places if not node.children]
        for node in barren:
            _close(node)
        _leave(barren)
        self.knob += len(barren)
        return [node for node in places if node.children]


def _expand(leaf: Node, nodes: Sequence[Node]) -> None:
    """Hang steps below a leaf, the first of equal ones for all, and weigh them."""
    kept: dict[str, Node] = {}
    for node in nodes:
        kept.setdefault(node.text.strip(), node)
    leaf.children = list(kept.values())
    set_priors(leaf.children)


def _leave(places: Sequence[Node]) -> None:
    """Iterations give up: they are below no more."""
    for place in places:
        for node in place.upwards:
            node.pending -= 1


def _close(leaf: Node) -> None:
    """Nothing is left to find here, nor above where nothing is left in any other child."""
    for node in leaf.upwards:
        if not all(child.closed for child in node.children):
            return
        node.closed = True
