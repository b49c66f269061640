"""Certaindex by reward: the terminal rewards of finished paths, their mean or their maximum (paper 3.1).

A terminal reward is a reward model's output at the end of a path, normalised to [0, 1]. The paper takes the mean for
MCTS and the maximum for Rebase. It knows running figures, not paths.
"""

from typing import Protocol


class Rewarded(Protocol):
    """Running figures of the terminal rewards so far: their sum, their number, the highest (0 while there is none)."""

    reward_sum: float
    reward_count: int
    reward_max: float


def by_mean_reward(evidence: Rewarded) -> float:
    """The mean terminal reward; 0 before the first."""
    return evidence.reward_sum / evidence.reward_count if evidence.reward_count else 0.0


def by_max_reward(evidence: Rewarded) -> float:
    """The highest terminal reward; 0 before the first."""
    return evidence.reward_max
