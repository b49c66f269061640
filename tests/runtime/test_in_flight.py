"""The limit on requests in flight, in virtual time, against engines whose best limit is known."""

import pytest

from dynasor.runtime.in_flight import AdaptiveLimit, InFlightLimit, Limits, in_flight_limit


def followed(limit: AdaptiveLimit, knee: int, landings: int, *, tells_queue: bool = False) -> list[int]:
    """The limits that it sets for an engine of so many places, each of which serves a request of 10 tokens a second."""
    now, seen = 0.0, []
    for _ in range(landings):
        running = limit.now
        now += 1.0 / min(running, knee)
        queued = max(0, running - knee) if tells_queue else None
        limit.served(now, 10, 1, full=True, queued=queued)
        seen.append(limit.now)
    return seen


@pytest.mark.parametrize("knee", [1, 8, 50, 200])
@pytest.mark.parametrize("tells_queue", [False, True])
def test_it_comes_to_where_the_engine_is_just_full_and_stays_about_there(knee: int, tells_queue: bool) -> None:
    seen = followed(AdaptiveLimit(1024), knee, 100 * knee + 2000, tells_queue=tells_queue)
    late = seen[len(seen) // 2 :]
    assert knee * 0.6 <= min(late)
    assert max(late) <= knee * 1.6 + 2
    assert sum(late) / len(late) <= knee * 1.4 + 2


def test_it_climbs_by_doubling() -> None:
    seen = followed(AdaptiveLimit(1024), 10_000, 4000)
    assert list(dict.fromkeys(seen))[:6] == [4, 8, 16, 32, 64, 128]


def test_it_never_passes_its_bounds() -> None:
    assert max(followed(AdaptiveLimit(20), 10_000, 4000)) == 20
    assert min(followed(AdaptiveLimit(8, start=1), 1, 4000)) == 1
    assert AdaptiveLimit(2).now == 2


def test_it_follows_an_engine_that_changes() -> None:
    limit = AdaptiveLimit(1024)
    before = followed(limit, 64, 10_000)[-1]
    after = followed(limit, 8, 10_000)[-1]
    assert before >= 40
    assert after <= 16


def test_what_is_not_full_tells_nothing_of_the_limit() -> None:
    limit = AdaptiveLimit(1024)
    for second in range(5000):
        limit.served(float(second), 10, 1, full=False, queued=0)
    assert limit.now == 4


def test_tokens_that_come_at_one_instant_are_no_speed() -> None:
    limit = AdaptiveLimit(1024)
    for _ in range(1000):
        limit.served(0.0, 10, 1, full=True, queued=None)
    assert limit.now == 4


def test_a_fixed_limit_stays() -> None:
    limit = in_flight_limit(Limits(requests=7))
    assert type(limit) is InFlightLimit
    for second in range(1000):
        limit.served(float(second), 10, 1, full=True, queued=100)
    assert limit.now == 7
    assert type(in_flight_limit(Limits(requests=7, adaptive=True))) is AdaptiveLimit
