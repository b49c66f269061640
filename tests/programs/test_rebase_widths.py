from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal, localcontext
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.programs.rebase_widths import RULES

EXAMPLE = (0.9, 0.8, 0.5, 0.2)
rules = st.sampled_from(sorted(RULES))
rewards_of_nodes = st.lists(
    st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 0.5, 1.0]), st.floats(-1e308, 1e308)), min_size=1, max_size=16
)


def test_the_worked_example_of_the_two_rules() -> None:
    assert RULES["ceil"](EXAMPLE, 16, 0.2) == [10, 5, 1, 0]
    plain = [round(share) for share in (9.029, 5.476, 1.222, 0.273)]
    assert (plain, sum(plain)) == ([9, 5, 1, 0], 15), "rounding alone leaves one branch unspent"
    assert RULES["paper"](EXAMPLE, 16, 0.2) == [9, 6, 1, 0]


@pytest.mark.parametrize("rule", RULES)
def test_equals_share_alike_and_the_first_takes_the_odd_one(rule: str) -> None:
    assert RULES[rule]([0.3] * 4, 8, 0.2) == [2, 2, 2, 2]
    assert RULES[rule]([0.3] * 3, 7, 0.2) == [3, 2, 2]
    assert RULES[rule]([0.3] * 64, 64, 0.2) == [1] * 64
    assert RULES[rule]([0.1, 0.7, 0.1], 3, 1e-9) == [0, 3, 0], "near 0 the best gets everything"
    assert RULES[rule]([], 5, 0.2) == []
    assert RULES[rule]([0.5, 0.6], 0, 0.2) == [0, 0]


def test_rounding_errors_do_not_part_equals() -> None:
    assert RULES["ceil"]([0.3, 0.3, 0.6, 0.3], 24, 0.2) == [3, 3, 15, 3], "2.9999999 and 3.0000001 are due"


@given(rules, rewards_of_nodes, st.integers(0, 200), st.floats(1e-3, 1e3))
def test_the_budget_is_spent_exactly(rule: str, rewards: list[float], budget: int, temperature: float) -> None:
    widths = RULES[rule](rewards, budget, temperature)
    assert len(widths) == len(rewards)
    assert sum(widths) == budget
    assert min(widths) >= 0


@given(rules, rewards_of_nodes, st.integers(1, 64))
def test_a_higher_reward_never_gets_less(rule: str, rewards: list[float], budget: int) -> None:
    ranked = sorted(zip(rewards, RULES[rule](rewards, budget, 0.2), strict=True), key=lambda pair: -pair[0])
    best = ranked[0][1]
    assert best == max(width for _, width in ranked)
    if rule == "paper":
        assert all(high[1] >= low[1] for high, low in pairwise(ranked) if high[0] > low[0])


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_the_budget_is_spent_exactly_on_a_hundred_thousand_reward_vectors(rule: str) -> None:
    draw, spread = Random(0), RULES[rule]
    for trial in range(100_000):
        count, budget = draw.randint(1, draw.randint(1, 64)), draw.randint(1, 64)
        rewards = [draw.random() for _ in range(count)]
        if trial % 4 == 1:  # ties
            rewards = [round(reward, 1) for reward in rewards]
        elif trial % 4 == 2:  # of any size
            rewards = [(reward - 0.5) * 10.0 ** draw.randint(-300, 300) for reward in rewards]
        widths = spread(rewards, budget, 0.2)
        assert sum(widths) == budget, (rewards, budget)
        assert min(widths) >= 0


@given(st.lists(st.floats(0, 1).map(lambda x: round(x, 3)), min_size=1, max_size=16), st.integers(1, 64))
def test_the_rules_are_their_formulas_in_exact_arithmetic(rewards: list[float], budget: int) -> None:
    with localcontext(prec=60):
        weights = [(Decimal(str(reward)) / Decimal("0.2")).exp() for reward in rewards]
        assert RULES["ceil"](rewards, budget, 0.2) == _exact_ceil(weights, budget)
        due = [budget * weight / sum(weights) for weight in weights]
        rounded = [int((share + Decimal("0.5")).to_integral_value(rounding="ROUND_FLOOR")) for share in due]
        if sum(rounded) == budget and all(abs(share % 1 - Decimal("0.5")) > Decimal("1e-9") for share in due):
            assert RULES["paper"](rewards, budget, 0.2) == rounded, "where plain rounding is exact, it is that"


def _exact_ceil(weights: Sequence[Decimal], budget: int) -> list[int]:
    """The public implementation's loop, in sixty digits."""
    widths, left, rest = [0] * len(weights), budget, sum(weights)
    for j in sorted(range(len(weights)), key=lambda j: (-weights[j], j)):
        if not left:
            break
        due = left * weights[j] / rest
        widths[j] = int((due - Decimal("1e-9")).to_integral_value(rounding=ROUND_CEILING))
        left -= widths[j]
        rest -= weights[j]
    return widths
