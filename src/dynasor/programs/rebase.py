"""Rebase: reward-balanced search (paper 2.1; Wu et al. 2024, arXiv 2408.00724). Knob: the width.

A search of width N asks for N first steps. At every depth the branches that have not ended, a budget of N less those
that have, are shared anew among the nodes of that depth: the higher a node's reward, the more steps follow it. A depth
waits for all of its steps. Each grant is a search of its own from the root; all grow one tree and vote together.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from dynasor.programs.rebase_widths import RULES
from dynasor.programs.search import Search
from dynasor.programs.search_settings import SearchSettings, above, one_of
from dynasor.programs.steps import Execution, Step
from dynasor.programs.tree import Node, families
from dynasor.request import Completion


@dataclass(frozen=True, kw_only=True)
class RebaseSettings(SearchSettings):
    """Settings of Rebase; the thresholds are those of GSM8K (paper, Table 1).

    Attributes:
        temperature: of the balance; near 0 the best node gets everything.
        rule: how shares become whole numbers: "paper" (rounded) or "ceil" (the public implementation's).
    """

    temperature: float = 0.2
    rule: str = "paper"

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        super().__post_init__()
        above("temperature", self.temperature, 0.0)
        one_of("rule", self.rule, RULES)


class Rebase(Search):
    """Expand the most rewarded nodes the most; answer by votes weighted with the rewards of the paths."""

    settings: ClassVar[RebaseSettings] = RebaseSettings()
    detect_at = 16
    reward_signal = "reward-max"

    def execute(self) -> Execution:
        """Search with what is granted until nothing more is."""
        while width := (yield self.claim()):
            yield from self._search(width)
        return self.chosen()

    def _search(self, width: int) -> Generator[Step, Any, None]:
        """One search, depth by depth; a gang that was cut ends it."""
        goal = self.knob + width
        growing = [(self.tree.root, width)]
        while growing:
            requests = [request for node, count in growing for request in self.steps(node, count)]
            landed: list[Completion] = yield self.gang(requests, knob=0)
            nodes = self.grown(landed)
            for parent, children in families(nodes):
                parent.children += children
            self.knob += len(landed) - len(nodes)  # a step that failed was a branch, and is spent
            if len(landed) < len(requests):
                return
            growing = self._shared([node for node in nodes if node.end is None], goal - self.knob)

    def _shared(self, nodes: Sequence[Node], budget: int) -> list[tuple[Node, int]]:
        """Which nodes grow, and how many steps follow each."""
        settings = self.settings
        widths = RULES[settings.rule]([node.reward for node in nodes], budget, settings.temperature)
        return [(node, width) for node, width in zip(nodes, widths, strict=True) if width]
