from itertools import pairwise

import pytest

from training import schedule


def test_the_rate_rises_stays_and_falls_in_a_line() -> None:
    assert schedule.rate(0) == 0.02
    assert schedule.rate(0.005) == pytest.approx(0.5)
    assert schedule.rate(0.01) == schedule.rate(0.29) == 1.0
    assert schedule.rate(0.65) == pytest.approx(0.505)
    assert schedule.rate(1) == schedule.rate(1.2) == pytest.approx(0.01)
    falling = [schedule.rate(0.3 + step / 100) for step in range(70)]
    assert all(one > two for one, two in pairwise(falling))


def test_the_first_part_is_mostly_easy_and_the_rest_is_not() -> None:
    assert [schedule.section(0.1, step) for step in range(4)] == ["full", "easy", "easy", "easy"]
    assert {schedule.section(0.2, step) for step in range(8)} == {"full"}
