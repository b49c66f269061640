import pytest

from dynasor.scheduling.pace import Pace


def test_nothing_is_known_before_anything_was_served() -> None:
    pace = Pace()
    assert (pace.tokens_per_s, pace.request_tokens_per_s) == (None, None)
    pace.served(0, 4, 0.0)
    pace.served(0, 4, 1.0)
    assert pace.tokens_per_s is None


def test_it_is_the_mean_over_the_time_in_which_anything_ran() -> None:
    pace = Pace(memory_s=1e9)
    pace.served(0, 0, 0.0)
    for second in range(1, 11):
        pace.served(100, 4, float(second))
    pace.served(0, 0, 1000.0)
    assert pace.tokens_per_s == pytest.approx(100.0)
    assert pace.request_tokens_per_s == pytest.approx(25.0)


def test_what_was_long_ago_counts_for_little() -> None:
    pace = Pace(memory_s=10.0)
    pace.served(0, 1, 0.0)
    for second in range(1, 101):
        pace.served(100 if second <= 50 else 10, 1, float(second))
    assert pace.tokens_per_s == pytest.approx(10.0, rel=0.1)
