"""When an item is asked again, which is next, and how a tenant's batches stand to its other requests."""

from collections import Counter

import msgspec
import pytest

from dynasor.errors import UsageError
from dynasor.gateway.batches.asking import Answered, BatchDoor, batch_tenant
from dynasor.gateway.batches.batch_rows import Live
from dynasor.gateway.batches.retries import wait_s
from dynasor.gateway.batches.settings import BatchSettings, window_s
from dynasor.gateway.batches.sharing import next_batch
from dynasor.gateway.quota import Quota
from dynasor.gateway.refusals import Refused
from dynasor.gateway.tenants import Tenant
from dynasor.gateway.turns import Turns
from dynasor.request import ProgramId
from dynasor.wiring import make_scheduler

TEAM = Tenant(name="team", share=2.0, concurrency=3)
DOWN = b'{"error": {"code": "backend_down"}}'


@pytest.mark.parametrize(
    ("status", "headers", "body", "attempts", "wanted"),
    [
        (200, {}, b"", 1, None),
        (400, {}, b"", 1, None),
        (404, {}, b"", 1, None),
        (429, {b"retry-after": b"7"}, b"", 50, 7.0),
        (429, {b"retry-after": b"7", b"retry-after-ms": b"1500"}, b"", 1, 1.5),
        (429, {b"x-should-retry": b"false", b"retry-after": b"7"}, b"", 1, None),
        (429, {b"retry-after": b"soon"}, b"", 1, 0.5),
        (503, {}, b"", 1, 0.5),
        (503, {b"retry-after": b"1"}, b"", 4, 4.0),
        (503, {b"retry-after": b"90"}, b"", 4, 90.0),
        (503, {}, b"", 1000, 60.0),
        (500, {}, b"", 1, 0.5),
        (500, {}, b"", 3, None),
        (504, {}, b"", 2, 1.0),
        (502, {}, b"", 3, None),
        (502, {}, DOWN, 30, 60.0),
        (502, {}, b"[", 3, None),
    ],
)
def test_what_may_pass_is_waited_for(
    status: int, headers: dict[bytes, bytes], body: bytes, attempts: int, wanted: float | None
) -> None:
    assert wait_s(Answered(status, headers, body), attempts) == wanted


def test_the_next_item_is_of_who_has_least_for_its_share() -> None:
    a, old, new = Live("1", "a", ""), Live("2", "b", ""), Live("3", "b", "")
    tenants = {"a": Tenant(name="a", concurrency=3), "b": Tenant(name="b", share=2.0)}
    live = [a, old, new]
    assert next_batch(live, {}, tenants, set()) is a
    assert next_batch(live, {"a": 1, "b": 1}, tenants, set()) is old
    assert next_batch(live, {"a": 1, "b": 3}, tenants, set()) is a
    assert next_batch(live, {"a": 3, "b": 99}, tenants, set()) is old, "a has all that it may have"
    assert next_batch(live, {}, tenants, {"1", "2"}) is new
    assert next_batch([Live("4", "gone", "")], {}, tenants, set()) is None
    assert next_batch([], {}, tenants, set()) is None


def test_batches_have_a_tenth_of_the_share_while_both_wait() -> None:
    turns = Turns(1, lambda: make_scheduler("fcfs")[0])
    plain, batches = Tenant(name="team"), batch_tenant(Tenant(name="team"), 0.1)
    waiting: dict[object, Tenant] = {}
    for number in range(300):
        for tenant in (plain, batches):
            waiting[number, tenant.name] = tenant
            turns.add((number, tenant.name), tenant, ProgramId(f"{tenant.name}{number}"), 0.0)
    served: Counter[str] = Counter()
    for _ in range(220):
        chosen = turns.next(0.0)
        assert chosen is not None
        served[waiting[chosen].name] += 1
        turns.end(chosen, 100, 0.0)
    assert served["team/batch"] == pytest.approx(20, abs=2)


def test_batches_and_other_requests_have_one_concurrency_and_one_quota() -> None:
    turns = Turns(100, lambda: make_scheduler("fcfs")[0])
    batches = batch_tenant(TEAM, 0.1)
    assert (batches.name, batches.account) == ("team/batch", "team")
    assert batches.share == pytest.approx(0.2)
    for number in range(4):
        turns.add(number, batches if number % 2 else TEAM, ProgramId(str(number)), 0.0)
    started = [turns.next(0.0) for _ in range(4)]
    assert started.count(None) == 1
    assert turns.running_count == 3
    turns.end(next(id for id in started if id is not None), 1, 0.0)
    assert turns.next(0.0) is not None


def test_a_quota_tells_how_long_to_wait_and_counts_nothing() -> None:
    quota = Quota(Tenant(name="a", requests_per_minute=60, tokens_per_minute=600))
    assert [quota.wait_s(0.0) for _ in range(100)] == [0.0] * 100
    for _ in range(60):
        quota.admit(0.0)
    assert quota.wait_s(0.0) == pytest.approx(1.0)
    quota.spend(600 + 20, 0.0)
    assert quota.wait_s(0.0) == pytest.approx(2.1)
    assert Quota(Tenant(name="b")).wait_s(0.0) == 0.0


def test_the_door_opens_to_known_tenants() -> None:
    door = BatchDoor({"team": TEAM})
    assert door.tenant({b"x-dynasor-batch-tenant": b"team"}) is TEAM
    for headers in ({}, {b"x-dynasor-batch-tenant": b"other"}):
        with pytest.raises(Refused, match="not known here any more"):
            door.tenant(headers)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("24h", 86_400), ("90m", 5400), ("7d", 604_800), ("0h", None), ("24", None), ("1w", None), ("-1h", None),
     ("24h\n", None), ("٣h", None), ("", None)],
)  # fmt: skip
def test_windows(told: str, seconds: int | None) -> None:
    assert window_s(told) == seconds


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"store": "mysql://x"}, "the batch store is a 'mysql'; it must be sqlite:FILE or postgresql://"),
        ({"store": "sqlite:"}, "has no file"),
        ({"concurrency": 0}, "batches.concurrency is 0"),
        ({"share": 2.0}, "batches.share is 2.0; it must be 1 at most"),
        ({"keep_days": -1}, "batches.keep_days is -1"),
    ],
)
def test_settings_that_cannot_be_are_told(told: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as fault:
        msgspec.convert(told, BatchSettings)
    assert message in str(fault.value)
