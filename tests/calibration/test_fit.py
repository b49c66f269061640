"""Curves by hand, and what holds of all of them."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dynasor.allocation.curve import Curve
from dynasor.allocation.curve_table import table_rows
from dynasor.calibration.fit import dynamic_curve, initial_curve, skyline
from dynasor.calibration.profile import ProblemProfile, profiled
from dynasor.programs.self_consistency import SelfConsistency
from support.profiles import path_of, setup_at, synthetic

POINTS = [(1.0, 3), (1.0, 1), (0.6, 2), (0.6, 9), (0.2, 7), (0.2, 12)]


def test_the_skyline_is_the_most_that_any_needed_who_read_so_certain() -> None:
    assert skyline(POINTS, fewest=1) == [(1.0, 3), (0.6, 9), (0.2, 12)]


def test_a_surer_reading_that_needed_more_raises_those_below_it() -> None:
    assert skyline([(1.0, 8), (0.6, 2), (0.2, 9)], fewest=1) == [(0.6, 8), (0.2, 9)]


def test_a_quantile_passes_over_the_outliers() -> None:
    points = [(1.0, 1)] * 9 + [(1.0, 20)]
    assert skyline(points, quantile=0.9, fewest=1) == [(1.0, 1)]
    assert skyline(points, quantile=0.91, fewest=1) == [(1.0, 20)]


def test_neighbouring_readings_are_pooled_and_the_rest_is_given_the_cap() -> None:
    assert skyline(POINTS, fewest=4) == [(0.6, 9)]
    assert skyline(POINTS, fewest=7) == []


@given(st.lists(st.tuples(st.sampled_from([1.0, 0.69, 0.58, 0.41, 0.0]), st.integers(1, 30))), st.integers(1, 5))
def test_a_skyline_rises_as_certaindex_falls_and_covers_what_it_covers(
    points: list[tuple[float, int]], fewest: int
) -> None:
    rows = skyline(points, fewest=fewest)
    assert all(one.certaindex > other.certaindex and one.knob < other.knob for one, other in pairwise(rows))
    for certaindex, needed in points:
        allowed = next((most for least, most in rows if certaindex >= least), 30)
        assert needed <= allowed


def test_three_problems_by_hand() -> None:
    """The second leads for good from its fourth branch on; the third is hopeless, and no curve heeds it."""
    three = [
        ProblemProfile("easy", (path_of("aaaaaaaa"),)),
        ProblemProfile("hard", (path_of("abbaaaab"),)),
        ProblemProfile("hopeless", (path_of("abbabbbb"),)),
    ]
    assert [profile.paths[0].needed for profile in three] == [1, 4, None]
    assert initial_curve(three, 3, fewest=1) == Curve("1@3/0.4206@4", 3, 0), "2-1 reads 0.4206"
    assert initial_curve(three, 3, fewest=3) is None, "two points are no curve"
    assert dynamic_curve(three, 3, 1, fewest=1) == Curve("1@3/0.6925@4", 3, 1), "at 7 branches 5-2 reads 0.6925"
    assert dynamic_curve(three, 3, 2, fewest=1) == Curve("1@3/0.6925@5", 3, 2)


def test_nothing_is_fitted_where_everybody_needs_the_cap() -> None:
    late = [ProblemProfile("late", (path_of("bbaaa"),))]
    assert initial_curve(late, 2, fewest=1) is None
    assert dynamic_curve(late, 2, 1, fewest=1) is None


def test_what_suffices_at_a_step_of_a_dynamic_curve_suffices_at_all_later_ones() -> None:
    profiles = profiled(synthetic(40, 10, seed=2), SelfConsistency, setup_at(10), orders=2)
    curve = dynamic_curve(profiles, 3, 1, quantile=0.95, fewest=5)
    assert curve is not None
    rows = table_rows(curve.table)
    assert all(one[0] > other[0] and one[1] < other[1] for one, other in pairwise(rows))
    assert rows[0][1] >= 3
