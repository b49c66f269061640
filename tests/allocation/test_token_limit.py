"""A limit on the tokens of one program."""

import pytest

from dynasor.allocation.baselines import Even
from dynasor.allocation.progress import Grant, Progress, stop
from dynasor.allocation.token_limit import SPENT, TokenLimit


@pytest.mark.parametrize(
    ("knob", "tokens", "granted"),
    [
        (0, 0, 10),  # by the most that a turn may take
        (5, 250, 15),  # by what turns took; the policy grants no more
        (5, 600, 3),
        (5, 990, 0),
        (5, 1200, 0),
        (5, 0, 15),
    ],
)
def test_a_grant_is_shortened_to_what_is_expected_to_fit(knob: int, tokens: int, granted: int) -> None:
    limit = TokenLimit(Even(), tokens=1000, turn_tokens=100)
    grant = limit(Progress(knob=knob, cap=20, tokens=tokens))
    assert grant.knob == granted
    assert grant.reason == ("" if granted else SPENT)


def test_the_first_turn_is_always_granted() -> None:
    assert TokenLimit(Even(), tokens=10, turn_tokens=100)(Progress(knob=0, cap=20)).knob == 1


def test_what_the_policy_stops_stays_stopped() -> None:
    policy = TokenLimit(lambda _: stop("certain"), tokens=1000, turn_tokens=1)
    assert policy(Progress(knob=1, cap=20)) == Grant(0, "certain")
