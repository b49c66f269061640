"""The bets by hand, and that an alarm is as rare as stated, however long one looks."""

from collections.abc import Callable
from math import log
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.calibration.drift import CHANGED, EFFORT, LOSS, Compared, Drift, Expectation, Seen, Wager
from dynasor.calibration.guarantee import STAKES, Promise

PROMISE = Promise(0.05, 0.9)


def capital(values: list[float], most: float, least: float = 0.0) -> float:
    total = 0.0
    for stake, share in STAKES:
        for value in values:
            share *= 1 + stake * (value - most) / (most - least)
        total += share
    return total


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.25, 1.0]), min_size=1, max_size=12))
def test_it_wins_where_capital_says_so(values: list[float]) -> None:
    wager = Wager(0.2, -1.0)
    for value in values:
        wager.take(value)
    reached = capital(values, 0.2, -1.0)
    assert wager.won(1 / (0.999 * reached)) if reached > 1.01 else not wager.won(0.99)
    assert not wager.won(1 / (1.001 * reached))
    assert wager.mean == pytest.approx(sum(values) / len(values))
    assert wager.count == len(values)


def test_before_anything_was_seen_nothing_is_won() -> None:
    assert not Wager(0.1).won(0.99)


def test_what_cannot_be_exceeded_is_never_won_and_what_must_not_be_is_won_at_once() -> None:
    certain, impossible = Wager(1.0), Wager(0.0)
    for _ in range(1000):
        certain.take(1.0)
        impossible.take(0.0)
    assert not certain.won(0.5)
    assert not impossible.won(0.5)
    impossible.take(0.01)
    assert impossible.won(1e-9)


def test_one_that_loses_all_at_every_stake_never_wins_again() -> None:
    wager = Wager(0.5)
    wager.take(0.0)  # at a stake of 1 all is lost
    for _ in range(60):
        wager.take(1.0)
    assert wager.won(0.01), "the smaller stakes are still there"


def test_a_clear_loss_is_seen_within_about_log_of_the_level_over_its_growth() -> None:
    wager = Wager(0.05)
    count = 0
    while not wager.won(0.025):
        wager.take(1.0)
        count += 1
    assert count <= log(2 / 0.025) / log(20) + 1


def drift(effort: float | None = 0.5, changed: float = 0.1) -> Drift:
    return Drift(Expectation(PROMISE, changed, effort))


def alarm_of(watch: Drift, seen: Callable[[], Seen], most: int = 3000) -> str | None:
    for _ in range(most):
        watch.take(seen())
    return watch.alarm


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (Seen(0.9), EFFORT),
        (Seen(0.4, Compared(1.0, changed=True)), LOSS),
        (Seen(0.4, Compared(None, changed=True)), CHANGED),
        (Seen(0.5, Compared(0.0, changed=True)), None),
        (Seen(0.5, Compared(-1.0, changed=True)), None),
        (Seen(0.5), None),
    ],
    ids=["effort", "loss", "no labels", "changed at no loss", "a gain", "as expected"],
)
def test_each_test_sees_what_is_its_own(seen: Seen, reason: str | None) -> None:
    assert alarm_of(drift(), lambda: seen) == reason


def test_without_an_expected_effort_none_is_looked_at() -> None:
    watch = drift(effort=None)
    assert alarm_of(watch, lambda: Seen(1.0), most=50) is None
    assert (watch.programs, watch.shadows) == (50, 0)


def test_after_an_alarm_nothing_more_is_looked_at() -> None:
    watch = drift()
    alarm_of(watch, lambda: Seen(1.0))
    seen = (watch.programs, watch.wager(EFFORT).mean)
    watch.take(Seen(0.0, Compared(1.0, changed=True)))
    assert (watch.programs, watch.wager(EFFORT).mean, watch.shadows) == (*seen, 0)
    assert watch.alarm == EFFORT


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_alarms_without_a_shift_are_as_rare_as_stated(seed: int) -> None:
    """The worst null: loss and effort at their very limits. 400 long runs; 10 % may raise an alarm."""
    random = Random(seed)

    def program() -> Seen:
        lost = random.choices((1.0, -1.0, 0.0), (0.075, 0.025, 0.9))[0]
        return Seen(random.betavariate(2, 2), Compared(lost, changed=lost != 0.0))

    alarms = sum(alarm_of(drift(), program, most=400) is not None for _ in range(400))
    assert 0 < alarms <= 0.1 * 400 + 3 * (400 * 0.1 * 0.9) ** 0.5, "and it is a test: it does raise some"


@pytest.mark.slow
def test_what_was_seen_before_does_not_help_a_null() -> None:
    """Means within the limit given the past, however the past steers them: the bets are still fair."""
    random = Random(5)
    alarms = 0
    for _ in range(300):
        wager, chance, won = Wager(0.3), 0.3, False
        for _ in range(300):
            value = float(random.random() < chance)
            wager.take(value)
            won = won or wager.won(0.1)
            chance = 0.3 if value else random.choice((0.1, 0.3))
        alarms += won
    assert alarms <= 0.1 * 300 + 3 * (300 * 0.1 * 0.9) ** 0.5
