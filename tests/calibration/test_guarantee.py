"""The bound by hand, and that it holds."""

from math import inf, log
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.calibration.guarantee import STAKES, Promise, p_value, problems_needed, upper_bound
from dynasor.errors import UsageError

LOSSES = st.lists(st.sampled_from([-1.0, -0.25, 0.0, 0.5, 1.0]), min_size=1, max_size=30)


def test_the_capital_is_split_without_remainder() -> None:
    assert sum(share for _, share in STAKES) == 1.0


def test_three_problems_by_hand() -> None:
    """At a tolerance of a half, a stake s wins s on a problem without a loss and loses s on a lost one."""
    capital = sum(share * (1 + stake) * (1 + stake) * (1 - stake) for stake, share in STAKES)
    assert p_value([0.0, 0.0, 1.0], 0.5) == pytest.approx(min(1.0, 1 / capital))
    capital = sum(share * (1 + stake) ** 2 * (1 + 3 * stake) for stake, share in STAKES)
    assert p_value([0.0, -1.0, 0.0], 0.5) == pytest.approx(1 / capital)


def test_where_nothing_is_lost_it_takes_about_log_of_two_over_p_divided_by_the_tolerance() -> None:
    promise = Promise(0.005, 0.95)
    needed = problems_needed([0.0], promise)
    assert needed == 716
    assert log(1 / 0.05) / 0.005 < needed < log(2 / 0.05) / 0.005
    assert p_value([0.0] * needed, 0.005) <= promise.level < p_value([0.0] * (needed - 1), 0.005)


def test_how_many_problems_would_do_is_told_of_problems_like_these() -> None:
    promise = Promise(0.05, 0.9)
    losses = [0.0] * 97 + [1.0, 1.0, -1.0]
    needed = problems_needed(losses, promise)
    assert needed is not None
    times = -(-needed // 100)
    assert p_value(losses * times, 0.05) <= 0.1
    assert p_value(losses * (times - 2), 0.05) > 0.1
    assert problems_needed([0.0, 1.0], promise) is None, "no number of such problems would do"


def test_no_problem_proves_nothing_and_everything_is_tolerated_at_one() -> None:
    assert p_value([], 0.1) == 1.0
    assert p_value([1.0], 1.0) == 0.0
    assert upper_bound([], 0.95) == pytest.approx(1.0)


@given(LOSSES, st.randoms(use_true_random=False))
def test_the_order_of_the_problems_does_not_matter(losses: list[float], random: Random) -> None:
    shuffled = random.sample(losses, len(losses))
    assert p_value(shuffled, 0.1) == pytest.approx(p_value(losses, 0.1))


@given(LOSSES)
def test_more_is_tolerated_more_easily_and_the_bound_is_where_it_just_is(losses: list[float]) -> None:
    assert p_value(losses, 0.2) <= p_value(losses, 0.1) + 1e-12
    bound = upper_bound(losses, 0.9)
    assert bound >= sum(losses) / len(losses)
    assert bound == 1.0 or p_value(losses, bound) <= 0.1
    assert p_value(losses, bound - 1e-6) > 0.1


def test_a_larger_loss_counts_more() -> None:
    assert p_value([0.0] * 9 + [1.0], 0.3) > p_value([0.0] * 9 + [0.5], 0.3) > p_value([0.0] * 10, 0.3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "weights"),
    [((1.0, 0.0), (5, 95)), ((1.0, 0.0, -1.0), (15, 75, 10)), ((0.2, 0.0, -0.1), (30, 60, 10)), ((0.05,), (1,))],
)
def test_losses_of_just_the_tolerance_are_let_through_no_oftener_than_stated(
    values: tuple[float, ...], weights: tuple[int, ...]
) -> None:
    """Four kinds of losses whose mean is the tolerance itself: of 2000 draws at most 10 % and some chance may pass."""
    random = Random("guarantee")
    tolerance = sum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights)
    passed = sum(p_value(random.choices(values, weights, k=150), tolerance) <= 0.1 for _ in range(2000))
    assert passed <= 200 + 3 * 13.4


@pytest.mark.slow
def test_a_bound_that_must_hold_is_not_so_wide_that_it_says_nothing() -> None:
    random = Random("power")
    passed = sum(p_value(random.choices([1.0, 0.0, -1.0], [1, 98, 1], k=600), 0.03) <= 0.05 for _ in range(200))
    assert passed > 150


@pytest.mark.parametrize(
    ("tolerance", "confidence", "message"),
    [
        (0.0, 0.95, "tolerance, in points, is 0.0"),
        (0.6, 0.95, "tolerance, in points, is 60.0"),
        (0.01, 1.0, "confidence is 1.0"),
        (0.01, 0.4, "confidence is 0.4"),
    ],
)
def test_what_cannot_be_promised_is_refused(tolerance: float, confidence: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Promise(tolerance, confidence)


def test_a_lost_problem_takes_the_whole_stake() -> None:
    capital = sum(share * (1 - stake) for stake, share in STAKES)
    assert capital < 1
    assert p_value([1.0], 0.5) == 1.0
    assert p_value([1.0] * 50, 0.5) < inf
