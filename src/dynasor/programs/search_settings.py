"""How a search is made: settings that Rebase and MCTS share, each refused at once where it cannot be."""

from collections.abc import Iterable
from dataclasses import dataclass

from dynasor.allocation.bounds import at_least, within
from dynasor.errors import UsageError
from dynasor.programs.choosing import CHOICES, REDUCTIONS

CERTAINDEXES = ("combined", "entropy", "reward")


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    r"""What a step is, and what is made of the finished paths.

    Attributes:
        step_end: the stop string that ends a step; `\n` may be written with a backslash.
        step_tokens: the most tokens of a step.
        max_depth: the most steps of a path. Its most tokens are those of the setup's sampling.
        answer: by "votes", "weighted" votes, or the "best" path.
        path_score: which of the rewards along a path is its weight: "last", "mean", "product" or "minimum".
        certaindex: by "entropy" of the answers, by "reward", or "combined": certain only if both pass their thresholds.
        entropy_threshold, reward_threshold: these.
        threshold: where the combined reading says so: the threshold of the policy that is to judge it.

    Raises:
        UsageError: for a value that cannot be.
    """

    step_end: str = "\n"
    step_tokens: int = 256
    max_depth: int = 25
    answer: str = "weighted"
    path_score: str = "last"
    certaindex: str = "combined"
    entropy_threshold: float = 0.85
    reward_threshold: float = 0.99
    threshold: float = 0.7

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        object.__setattr__(self, "step_end", self.step_end.replace("\\n", "\n"))
        if not self.step_end:
            raise UsageError("step_end is empty; no step would end. Name a stop string, such as \\n")
        for name in ("step_tokens", "max_depth"):
            at_least(name, getattr(self, name), 1)
        one_of("answer", self.answer, CHOICES)
        one_of("path_score", self.path_score, REDUCTIONS)
        one_of("certaindex", self.certaindex, CERTAINDEXES)
        for name in ("entropy_threshold", "reward_threshold", "threshold"):
            within(name, getattr(self, name), 0.0, 1.0)
        above("threshold", self.threshold, 0.0)


def one_of(name: str, value: str, known: Iterable[str]) -> None:
    """Raise a UsageError where a setting is not among the known values."""
    if value not in known:
        raise UsageError(f"{name} is '{value}'; it must be one of {', '.join(known)}")


def above(name: str, value: float, least: float) -> None:
    """Raise a UsageError where a setting is not above a bound, or is no finite number."""
    if not least < value < float("inf"):
        raise UsageError(f"{name} is {value}; it must be a number above {least:g}")
