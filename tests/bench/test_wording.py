"""Figures as people read them."""

from math import nan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.bench.comparison import compare
from dynasor.bench.wording import amount, broken, count, notes, percent, points, problems, seconds, shares
from dynasor.metrics.intervals import Estimate
from support.journals import finished
from support.runs import STATIC, written


def test_shares_differences_and_amounts_have_their_own_forms() -> None:
    assert percent(Estimate(0.8921, 0.8709, 0.91)) == "89.2 % [87.1, 91.0]"
    assert points(Estimate(-0.003, -0.01, 0.004)) == "-0.3 [-1.0, +0.4]"
    assert amount(Estimate(1234.4, 1100.2, 14000)) == "1,234 [1,100 to 14,000]"
    assert shares({"certain": 0.618, "cap": 0.382}) == "certain 62 %, cap 38 %"


def test_a_time_that_tells_nothing_is_a_dash() -> None:
    assert [seconds(duration) for duration in (12.345, 0.5, 0.0, None)] == ["12.3 s", "0.5 s", "–", "–"]


def test_zero_has_no_sign_whatever_was_rounded_to_it() -> None:
    assert percent(Estimate(-0.0001, -0.0004, 0.0001)) == "0.0 % [0.0, 0.0]"
    assert points(Estimate(-0.0001, -0.01, 0.0)) == "0.0 [-1.0, 0.0]"


def test_what_is_not_known_is_a_dash_and_bounds_that_are_not_are_left_out() -> None:
    assert percent(None) == points(None) == amount(None) == percent(Estimate(nan, nan, nan)) == count(nan) == "–"
    assert percent(Estimate(0.5, nan, nan)) == "50.0 %"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (7, "7"), (7.25, "7.2"), (99.94, "99.9"), (100.4, "100"), (12345, "12,345"), (-1234.5, "-1,234")],
)
def test_numbers_have_separators_and_a_decimal_where_it_counts(number: float, text: str) -> None:
    assert count(number) == text


def test_one_problem_is_no_problems() -> None:
    assert [problems(number) for number in (0, 1, 1319)] == ["0 problems", "1 problem", "1,319 problems"]


@given(st.text(alphabet="ab ,:+", max_size=60), st.integers(1, 30))
def test_a_broken_label_loses_nothing_but_spaces_and_is_no_wider_than_its_words(label: str, width: int) -> None:
    lines = broken(label, width).split("\n")
    assert "".join(lines).replace(" ", "") == label.replace(" ", "")
    longest_word = max(len(word) for word in label.replace(",", ", ").replace(":", ": ").replace("+", "+ ").split(" "))
    assert max(map(len, lines)) <= max(width, longest_word)


def test_a_label_is_broken_after_its_signs() -> None:
    assert broken(f"decided+{STATIC} in flight, cap 20 × 20 seeds", 22).split("\n") == [
        "decided+static:",
        "threshold=0.7,",
        "detect_at=5 in flight,",
        "cap 20 × 20 seeds",
    ]


def test_a_number_stays_with_the_word_before_it() -> None:
    assert broken("beta:confidence=0.95, cap 5 × 20 seeds", 24).split("\n") == [
        "beta:confidence=0.95,",
        "cap 5 × 20 seeds",
    ]
    assert broken("even, cap 5", 9).split("\n") == ["even,", "cap 5"]


def test_notes_tell_what_the_accuracy_is_over(tmp_path: Path) -> None:
    records = [finished("p"), finished("q", correct=None)]
    assert notes(compare([written(tmp_path / "a", records)]))[:2] == [
        "2 problems that every run has finished.",
        "Accuracy is over the 1 problem with a right answer that is known.",
    ]
