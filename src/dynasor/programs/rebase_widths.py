"""How Rebase shares a budget of branches among the nodes of one depth (paper 2.1; Wu et al. 2024, arXiv 2408.00724).

With B branches, rewards R and the balance temperature T, node j is due q_j = B · e^(R_j/T) / Σ_k e^(R_k/T). Both rules
make whole numbers of it that sum to B, always: sums are taken so that rounding errors cannot reach a whole branch.
It knows numbers only.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, count
from math import ceil, exp, fsum
from operator import neg, sub

_SLACK = 1e-9  # a due share this little above a whole number is that number: ties must not break by rounding errors

WidthRule = Callable[[Sequence[float], int, float], list[int]]
"""Rewards, budget, temperature -> how many children each node gets."""


def rounded(rewards: Sequence[float], budget: int, temperature: float) -> list[int]:
    """The paper's rule, W_j = Round(q_j), made exact: the largest remainders are rounded up, all others down.

    Where plain rounding spends the budget, this is plain rounding. Equal remainders: the higher reward, then the first.
    Rewards (.9, .8, .5, .2) and 16 branches at T = 0.2: q = (9.03, 5.48, 1.22, 0.27). Rounding spends 15, this 9/6/1/0.
    """
    weights = _weights(rewards, temperature)
    whole = fsum(weights)
    due = [budget * weight / whole for weight in weights]
    widths = [int(share + _SLACK) for share in due]
    places = sorted(zip(map(sub, widths, due), map(neg, rewards), count()))
    for _, _, j in places[: budget - sum(widths)]:
        widths[j] += 1
    return widths


def ceiled(rewards: Sequence[float], budget: int, temperature: float) -> list[int]:
    """The rule of the public implementation: from the best node down, round up what it is due of what is left.

    Favours high rewards: the example of `rounded` gives 10/5/1/0.
    """
    weights = _weights(rewards, temperature)
    order = sorted(range(len(rewards)), key=rewards.__getitem__, reverse=True)  # equals: the first first
    widths, left = [0] * len(rewards), budget
    for j, rest in zip(order, _sums_of_rest([weights[j] for j in order]), strict=True):
        if left == 0:
            break
        widths[j] = ceil(left * (weights[j] / rest) - _SLACK)  # no more than is left: no weight exceeds the rest
        left -= widths[j]
    return widths


RULES: Mapping[str, WidthRule] = {"paper": rounded, "ceil": ceiled}


def _weights(rewards: Sequence[float], temperature: float) -> list[float]:
    """Relative to the highest, so that nothing overflows and one weight is 1."""
    highest = max(rewards, default=0.0)
    return [exp((reward - highest) / temperature) for reward in rewards]


def _sums_of_rest(weights: Sequence[float]) -> list[float]:
    """For each weight the sum of it and all after it, added from the small end: subtraction would cancel."""
    return list(accumulate(reversed(weights)))[::-1]
