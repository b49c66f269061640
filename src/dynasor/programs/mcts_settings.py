"""How Monte Carlo tree search goes about: its settings, each refused at once where it cannot be."""

from dataclasses import dataclass

from dynasor.allocation.bounds import at_least
from dynasor.programs.mcts_selection import Exploration, Puct, Uct
from dynasor.programs.search_settings import SearchSettings, above, one_of


@dataclass(frozen=True, kw_only=True)
class MctsSettings(SearchSettings):
    """Settings of MCTS; the thresholds are those of GSM8K (paper, Table 1).

    Attributes:
        selection: "puct" or "uct".
        c_base, c_init: how puct explores.
        exploration: how uct does.
        expand: steps that are asked for where nothing follows yet; equal ones are merged, and all are paid for.
        parallel: iterations at a time. The paper measures 1.
    """

    selection: str = "puct"
    c_base: float = 19652.0
    c_init: float = 1.25
    exploration: float = 1.0
    expand: int = 3
    parallel: int = 1
    answer: str = "votes"
    entropy_threshold: float = 0.99
    reward_threshold: float = 0.4

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        super().__post_init__()
        one_of("selection", self.selection, ("puct", "uct"))
        above("c_base", self.c_base, 0.0)
        for name in ("c_init", "exploration"):
            at_least(name, getattr(self, name), 0.0)
        for name in ("expand", "parallel"):
            at_least(name, getattr(self, name), 1)

    @property
    def explores(self) -> Exploration:
        """How it goes down."""
        return Puct(self.c_base, self.c_init) if self.selection == "puct" else Uct(self.exploration)
