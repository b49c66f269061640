"""Fairness between tenants, in virtual time."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.gateway.tenants import Tenant
from dynasor.gateway.turns import Turns
from dynasor.request import ProgramId
from dynasor.scheduling.specification import make_scheduler

A, B, C = Tenant(name="a"), Tenant(name="b", share=3.0), Tenant(name="c", concurrency=1)


def turns(most: int = 1) -> Turns:
    return Turns(most, lambda: make_scheduler("aging+attained")[0])


def arrive(made: Turns, tenant: Tenant, *ids: str, now: float = 0.0) -> None:
    for id in ids:
        made.add(id, tenant, ProgramId(id), now)


def served(made: Turns, tokens: dict[Tenant, int], requests: int) -> Counter[str]:
    """Tokens by tenant, where each always has something to wait for and one request runs at a time."""
    counts: Counter[str] = Counter()
    for number in range(requests):
        for tenant in tokens:
            if not made.lane(tenant).waiting:
                arrive(made, tenant, f"{tenant.name}{number}", now=number)
        id = str(made.next(number))
        tenant = next(tenant for tenant in tokens if id.startswith(tenant.name))
        counts[tenant.name] += tokens[tenant]
        made.end(id, tokens[tenant], number)
    return counts


def test_equal_shares_get_equal_tokens_however_long_their_requests_are() -> None:
    long, short = Tenant(name="long"), Tenant(name="short")
    counts = served(turns(), {long: 1000, short: 50}, 1000)
    assert counts["long"] == pytest.approx(counts["short"], rel=0.05)


def test_a_share_of_three_gets_three_times_the_tokens() -> None:
    counts = served(turns(), {A: 100, B: 100}, 400)
    assert counts["b"] == pytest.approx(3 * counts["a"], rel=0.05)


def test_who_was_away_gets_no_more_than_the_share_when_coming_back() -> None:
    made, late = turns(), Tenant(name="late")
    served(made, {A: 100}, 500)
    counts = served(made, {A: 100, late: 100}, 20)
    assert abs(counts["a"] - counts["late"]) <= 200


def test_who_used_what_was_free_is_not_made_to_pay() -> None:
    made, other = turns(most=100), Tenant(name="other")
    for number in range(50):
        arrive(made, A, f"a{number}")
        assert made.next(0.0) == f"a{number}"
    for number in range(50):
        made.end(f"a{number}", 1000, 1.0)
    counts = served(made, {A: 100, other: 100}, 40)
    assert abs(counts["a"] - counts["other"]) <= 200


def test_who_comes_while_another_is_served_is_not_given_what_that_one_had() -> None:
    made, other = turns(), Tenant(name="other")
    for number in range(50):
        arrive(made, A, f"a{number}", f"more{number}")
        made.end(made.next(0.0), 1000, 0.0)
    arrive(made, other, *(f"other{number}" for number in range(40)))
    first = []
    for _ in range(20):
        first.append(str(made.next(1.0)))
        made.end(first[-1], 100, 1.0)
    assert 10 <= sum(id.startswith("other") for id in first) <= 16, "at most the last long request is made up for"


def test_a_tenant_at_its_concurrency_lets_others_pass() -> None:
    made = turns(most=10)
    arrive(made, C, "c1", "c2")
    arrive(made, A, "a1")
    assert [made.next(0.0) for _ in range(3)] == ["c1", "a1", None]
    made.end("c1", 5, 1.0)
    assert made.next(1.0) == "c2"


def test_within_a_tenant_the_program_that_was_served_least_is_next() -> None:
    made = turns()
    old, young = ProgramId("old"), ProgramId("young")
    scheduler = made.lane(A).scheduler
    scheduler.begin(old, 0.0)
    scheduler.begin(young, 0.0)
    made.add("first", A, old, 0.0)
    made.next(0.0)
    made.end("first", 5000, 0.1)
    made.add("of old", A, old, 0.1)
    made.add("of young", A, young, 0.2)
    assert made.next(0.2) == "of young"


def test_who_has_waited_long_is_next_all_the_same() -> None:
    made = turns()
    old = ProgramId("old")
    made.lane(A).scheduler.begin(old, 0.0)
    made.add("first", A, old, 0.0)
    made.next(0.0)
    made.end("first", 50_000, 0.1)
    made.add("of old", A, old, 0.1)
    arrive(made, A, "young", now=10_000.0)
    assert made.next(10_000.0) == "of old"


def test_what_brought_nothing_changes_no_mean() -> None:
    made = turns()
    arrive(made, A, "a")
    made.next(0.0)
    before = made.lane(A).mean_tokens
    made.end("a", 0, 1.0)
    assert (made.lane(A).mean_tokens, made.lane(A).virtual) == (before, 0.0)


def test_what_has_not_started_cannot_end() -> None:
    made = turns()
    arrive(made, A, "a")
    with pytest.raises(ValueError, match="withdraw"):
        made.end("a", 1, 0.0)


@given(
    events=st.lists(st.tuples(st.sampled_from([A, B, C]), st.integers(0, 300), st.booleans()), max_size=30),
    most=st.integers(1, 4),
)
def test_nobody_is_lost_or_started_twice(events: list[tuple[Tenant, int, bool]], most: int) -> None:
    made = turns(most)
    running: list[str] = []
    waiting: list[str] = []
    for number, (tenant, tokens, leaves) in enumerate(events):
        arrive(made, tenant, f"{number}", now=number)
        waiting.append(f"{number}")
        if leaves:
            made.withdraw(waiting.pop(0), number)
        while (id := made.next(number)) is not None:
            waiting.remove(str(id))
            running.append(str(id))
        assert (made.waiting_count, made.running_count) == (len(waiting), len(running))
        assert len(running) <= most
        if running and tokens % 2:
            made.end(running.pop(0), tokens, number)
    for id in running:
        made.end(id, 1, 100.0)
    while (last := made.next(100.0)) is not None:
        waiting.remove(str(last))
        made.end(last, 1, 100.0)
    assert waiting == []
    assert made.running_count == 0


@given(
    events=st.lists(st.tuples(st.sampled_from([A, B, C]), st.integers(0, 300), st.booleans()), max_size=30),
    most=st.integers(1, 4),
)
def test_one_that_begins_at_once_is_one_that_joins_and_is_next(
    events: list[tuple[Tenant, int, bool]], most: int
) -> None:
    quick, slow = turns(most), turns(most)
    running: list[str] = []
    for number, (tenant, tokens, ends) in enumerate(events):
        id, program = f"{number}", ProgramId(f"{tenant.name}{number % 3}")
        begun = [id] if quick.begin(id, tenant, program, number) else []
        slow.add(id, tenant, program, number)
        started = [*begun, *iter(lambda: quick.next(number), None)]  # noqa: B023
        assert started == list(iter(lambda: slow.next(number), None))  # noqa: B023
        running += map(str, started)
        if ends and running:
            ended = running.pop(0)
            for made in (quick, slow):
                made.end(ended, tokens, number)
    for tenant in (A, B, C):
        assert quick.lane(tenant).virtual == slow.lane(tenant).virtual
        assert quick.lane(tenant).served_tokens == slow.lane(tenant).served_tokens
