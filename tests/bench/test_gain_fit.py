from math import sqrt

import pytest

from dynasor.allocation.expected_gain import State
from dynasor.bench.gain_fit import Believed, Caution, Walk, asks_below, believed, fit, walks_of
from dynasor.datasets.problem import Problem, Recording
from dynasor.request import Sample

NONE = Caution(weight=0.0, errors=0.0)
EASY, SPLIT, LOST = State(2, 2, 0, 1), State(2, 1, 1, 2), State(2, 1, 1, 3)


def walk(problem: str, state: State, now: float, then: float) -> Walk:
    return Walk(problem, (state,), (now, then))


def test_asks_are_dense_at_first() -> None:
    assert asks_below(15) == (3, 4, 5, 6, 7, 8, 10, 12)
    assert asks_below(3) == ()


def test_a_walk_tells_the_states_and_what_the_majority_was_worth() -> None:
    samples = tuple(Sample(answer, 1) for answer in ["a", "a", "a", "a"])
    recording = Recording(Problem("p", "?", verdicts={"a": 0.5}), samples)
    (found,) = walks_of([recording], asks=(2, 3), cap=4, orders=1)
    assert found == Walk("p", (State(2, 2, 0, 1), State(3, 3, 0, 1)), (0.5, 0.5, 0.5))


def test_walks_of_no_answer_are_worth_nothing() -> None:
    recording = Recording(Problem("p", "?", verdicts={}), (Sample(None, 1), Sample(None, 1)))
    (found,) = walks_of([recording], asks=(1,), cap=2, orders=1)
    assert found == Walk("p", (State(1, 0, 0, 1),), (0.0, 0.0))


def test_it_stops_where_going_on_gains_less_than_its_price() -> None:
    walks = [walk("p", EASY, 1.0, 1.0), walk("q", SPLIT, 0.0, 1.0), walk("r", LOST, 0.0, 0.0)]
    assert fit(walks, (2,), 10, price=0.01, caution=NONE).stops == {EASY, LOST}
    assert fit(walks, (2,), 10, price=0.2, caution=NONE).stops == {EASY, SPLIT, LOST}, "eight branches cost 1.6"


def test_free_branches_are_drawn_unless_they_do_harm() -> None:
    walks = [walk("p", SPLIT, 1.0, 0.0), walk("q", LOST, 0.0, 1.0)]
    assert fit(walks, (2,), 10, price=0.0, caution=NONE).stops == {SPLIT}


def test_what_comes_later_is_decided_first() -> None:
    """Going on at 2 pays only because the policy will stop at 3; to go on to the cap would cost 1.7."""
    later = State(3, 2, 1, 2)
    walks = [Walk("p", (SPLIT, later), (0.0, 1.0, 1.0))]
    policy = fit(walks, (2, 3), 20, price=0.1, caution=NONE)
    assert policy.stops == {later}
    assert fit([Walk("p", (SPLIT,), (0.0, 1.0))], (2,), 20, price=0.1, caution=NONE).stops == {SPLIT}


def test_few_problems_are_not_believed() -> None:
    one = [walk("p", SPLIT, 0.0, 0.0)]
    many = [walk(f"p{n}", SPLIT, 0.0, 0.0) for n in range(3000)]
    caution = Caution(weight=4.0, errors=1.0)
    assert not fit(one, (2,), 20, price=0.001, caution=caution).stops
    assert fit(many, (2,), 20, price=0.001, caution=caution).stops == {SPLIT}
    assert not fit(one * 3000, (2,), 20, price=0.001, caution=caution).stops, (
        "many walks of one problem are one problem"
    )


def test_states_alike_but_for_their_groups_lend_each_other_problems() -> None:
    others = [walk(f"p{n}", LOST, 0.0, 0.0) for n in range(3000)]
    caution = Caution(weight=4.0, errors=0.0)
    alone = fit([walk("p", SPLIT, 0.0, 0.0)], (2,), 20, price=0.001, caution=caution)
    among = fit([walk("p", SPLIT, 0.0, 0.0), *others], (2,), 20, price=0.001, caution=caution)
    assert SPLIT not in alone.stops
    assert SPLIT in among.stops


def test_a_mean_is_shrunk_by_the_problems_in_effect() -> None:
    prior = Believed(0.5, 0.3)
    # two problems with a mean of 1 and of 0, one walk each; the prior counts for two more
    found = believed([("p", 1.0), ("q", 0.0)], prior, 2.0)
    assert found.mean == pytest.approx((1.0 + 2 * 0.5) / 4)
    assert found.error == pytest.approx(sqrt(2 * 0.25 + 2 * 0.09) / 4)
    # shares of 3/4 and 1/4 make 1.6 problems in effect
    uneven = believed([("p", 1.0), ("p", 1.0), ("p", 1.0), ("q", 0.0)], prior, 0.0)
    assert uneven.mean == pytest.approx(0.75)
    assert uneven.error == pytest.approx(sqrt(1.6 * (0.75 * 0.0625 + 0.25 * 0.5625)) / 1.6)
