import math
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.engines.retrying import (
    NOT_IN_THIS_RUN_S,
    RETRYABLE_STATUSES,
    RetryBudget,
    RetryPolicy,
    asked_wait_s,
    http_date,
    wait_s,
)
from dynasor.errors import EngineError, UsageError

NOW = datetime(2025, 3, 1, 12, 0, 0, tzinfo=UTC)
PASSING = EngineError("503 busy", retryable=True)


def test_the_statuses_that_may_pass() -> None:
    assert {408, 409, 429, 500, 502, 503, 504, 529} == RETRYABLE_STATUSES


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Sat, 01 Mar 2025 12:01:30 GMT"}, 90.0),
        ({"retry-after": "Sat, 01 Mar 2025 12:01:30 -0000"}, 90.0),
        ({"retry-after": "Sat, 01 Mar 2025 11:00:00 GMT"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "7"}, 7.0),
        ({"x-should-retry": "true", "retry-after": "7"}, 7.0),
        ({"x-should-retry": "False", "retry-after": "7"}, NOT_IN_THIS_RUN_S),
    ],
)
def test_what_a_server_asks_for(headers: dict[str, str], expected: float | None) -> None:
    assert asked_wait_s(headers, NOW) == expected


@pytest.mark.parametrize("text", ["", "2025", "Sat, 99 Mar 2025 12:00:00 GMT"])
def test_what_is_no_date(text: str) -> None:
    assert http_date(text) is None


@given(st.integers(0, 3), st.integers())
def test_full_jitter_under_a_doubling_ceiling(retry_count: int, seed: int) -> None:
    waited = wait_s(RetryPolicy(), retry_count, PASSING, random.Random(seed))
    assert waited is not None
    assert 0.0 <= waited <= 0.5 * 2**retry_count


def test_the_jitter_fills_its_range_and_is_capped() -> None:
    rng = random.Random(0)
    policy = RetryPolicy(retries=2000)
    draws = [wait_s(policy, 1500, PASSING, rng) or 0.0 for _ in range(2000)]
    assert max(draws) <= 8.0
    assert max(draws) > 7.9
    assert min(draws) < 0.1
    assert math.isclose(sum(draws) / len(draws), 4.0, rel_tol=0.05)


@given(st.floats(0.0, 120.0), st.integers())
def test_never_sooner_than_asked(asked_s: float, seed: int) -> None:
    fault = EngineError("429 slow down", retryable=True, retry_after_s=asked_s)
    waited = wait_s(RetryPolicy(), 0, fault, random.Random(seed))
    assert waited is not None
    assert asked_s <= waited <= asked_s + 0.5


@pytest.mark.parametrize(
    ("retry_count", "fault"),
    [
        (4, PASSING),
        (0, EngineError("400 no", retryable=False)),
        (0, EngineError("429 come back tomorrow", retryable=True, retry_after_s=120.1)),
        (0, EngineError("429 never", retryable=True, retry_after_s=NOT_IN_THIS_RUN_S)),
    ],
)
def test_when_to_give_up(retry_count: int, fault: EngineError) -> None:
    assert wait_s(RetryPolicy(), retry_count, fault, random.Random(0)) is None


@given(st.lists(st.booleans(), max_size=400), st.integers(0, 20), st.sampled_from([0.0, 0.1, 0.2, 1.0]))
def test_the_budget_holds_at_every_instant(steps: list[bool], floor: int, share: float) -> None:
    budget = RetryBudget(RetryPolicy(budget_floor=floor, budget_share=share))
    sent = retried = 0
    for is_request in steps:
        if is_request:
            budget.deposit()
            sent += 1
            continue
        granted = budget.withdraw()
        assert granted == (retried + 1 <= max(floor, share * sent))
        retried += granted
    assert retried <= max(floor, share * sent)


def test_the_budget_in_an_outage() -> None:
    budget = RetryBudget(RetryPolicy())
    for _ in range(1000):
        budget.deposit()
    assert sum(budget.withdraw() for _ in range(4000)) == 200


def test_a_policy_holds_no_negative_number() -> None:
    with pytest.raises(UsageError, match="negative"):
        RetryPolicy(retries=-1)
