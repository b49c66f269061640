"""Quotas and the measured rate of a queue, in virtual time."""

import pytest

from dynasor.gateway.drain_rate import DrainRate
from dynasor.gateway.quota import Bucket, Quota
from dynasor.gateway.refusals import Refused
from dynasor.gateway.tenants import Tenant


def test_a_bucket_gives_a_minute_s_worth_at_once_and_refills_evenly() -> None:
    bucket = Bucket(60)
    for _ in range(60):
        assert bucket.wait_s(1, 0.0) == 0
        bucket.use(1)
    assert bucket.wait_s(1, 0.0) == pytest.approx(1.0)
    assert bucket.wait_s(1, 0.5) == pytest.approx(0.5)
    assert bucket.wait_s(1, 1.0) == pytest.approx(0.0)
    assert bucket.wait_s(10, 1000.0) == 0
    assert bucket.wait_s(1e9, 1000.0) == 0, "more than it holds may be used once it is full"


def test_requests_of_a_minute_are_counted() -> None:
    quota = Quota(Tenant(name="a", requests_per_minute=2))
    quota.admit(0.0)
    quota.admit(0.0)
    with pytest.raises(Refused) as told:
        quota.admit(0.0)
    assert (told.value.status, told.value.code) == (429, "rate_limit_exceeded")
    assert told.value.retry_after_s == pytest.approx(30.0)
    quota.admit(30.0)


def test_tokens_of_a_minute_are_counted_at_the_end_of_an_answer() -> None:
    quota = Quota(Tenant(name="a", tokens_per_minute=600))
    quota.admit(0.0)
    quota.spend(1200, 0.0)
    with pytest.raises(Refused, match="tokens") as told:
        quota.admit(0.0)
    assert told.value.retry_after_s == pytest.approx(60.1)
    quota.admit(60.2)


def test_a_refused_request_uses_nothing() -> None:
    quota = Quota(Tenant(name="a", tokens_per_minute=60, requests_per_minute=1))
    quota.spend(120, 0.0)
    for _ in range(5):
        with pytest.raises(Refused, match="tokens"):
            quota.admit(0.0)
    quota.admit(70.0)


def test_without_quotas_nothing_is_counted() -> None:
    quota = Quota(Tenant(name="a"))
    for _ in range(1000):
        quota.admit(0.0)
        quota.spend(10**9, 0.0)


def test_a_queue_tells_how_long_it_takes() -> None:
    rate = DrainRate()
    assert rate.wait_s(100, 5.0) == 1.0, "nothing was seen yet"
    for number in range(100):
        rate.leave(number * 0.1)
    assert rate.wait_s(50, 10.0) == pytest.approx(5.0, rel=0.05)
    assert rate.wait_s(50, 20.0) > 10.0, "it has stalled"
    assert rate.wait_s(10**9, 20.0) == 600.0
