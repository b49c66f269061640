"""What a program has seen of its branches, and the signals that read a certaindex from it.

The baselines are those that the paper compares certaindex with (3.3): mean output length and mean log-probability.
A signal is a function, so that any of them can stand where entropy does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import exp

from dynasor.answers.voting import Ballot
from dynasor.certaindex.entropy import entropy_certaindex
from dynasor.certaindex.reward import by_max_reward, by_mean_reward


@dataclass(slots=True)
class Evidence:
    """Running totals over the branches that have landed.

    Attributes:
        finished: how many branches they are.
        tokens: generated tokens of those whose tokens are known.
        counted: how many these are.
        logprob_sum, logprob_count: of those branches whose mean log-probability is known.
        reward_sum, reward_count, reward_max: of the terminal rewards of finished paths, where there are any.
    """

    ballot: Ballot = field(default_factory=Ballot)
    finished: int = 0
    tokens: int = 0
    counted: int = 0
    logprob_sum: float = 0.0
    logprob_count: int = 0
    reward_sum: float = 0.0
    reward_count: int = 0
    reward_max: float = 0.0

    def spend(self, tokens: int | None, mean_logprob: float | None) -> None:
        """Count what a request generated, as far as its server tells."""
        if tokens is not None:
            self.tokens += tokens
            self.counted += 1
        if mean_logprob is not None:
            self.logprob_sum += mean_logprob
            self.logprob_count += 1

    def reward(self, reward: float) -> None:
        """Count a terminal reward."""
        self.reward_sum += reward
        self.reward_count += 1
        self.reward_max = max(self.reward_max, reward)


Signal = Callable[[Evidence], float]
"""Evidence -> a reading in [0, 1]; higher is more certain."""


def by_entropy(evidence: Evidence) -> float:
    """How far the answers agree: 1 when all do, 0 when no two do."""
    return entropy_certaindex(evidence.ballot)


def by_length(evidence: Evidence, half_at_tokens: float = 256.0) -> float:
    """Short branches read as certain: 1 / (1 + mean tokens / half_at_tokens), 0 before the first branch."""
    if not evidence.counted:
        return 0.0
    return 1.0 / (1.0 + evidence.tokens / evidence.counted / half_at_tokens)


def by_logprob(evidence: Evidence) -> float:
    """The geometric mean probability of a token, exp(mean log-probability); 0 where no branch tells any."""
    if not evidence.logprob_count:
        return 0.0
    return exp(evidence.logprob_sum / evidence.logprob_count)


SIGNALS: Mapping[str, Signal] = {
    "entropy": by_entropy,
    "length": by_length,
    "logprob": by_logprob,
    "reward-mean": by_mean_reward,
    "reward-max": by_max_reward,
}
