import pytest

from dynasor.allocation.decided import Decided
from dynasor.allocation.threshold import StaticThreshold
from dynasor.bench.policy_study import FIXED, contenders, fold_of
from dynasor.bench.replays import Contender, compare_policies, oracle_branches
from dynasor.datasets.problem import Problem, Recording
from dynasor.request import Sample


def recording(name: str, answers: str, tokens: int = 10) -> Recording:
    samples = tuple(Sample(answer, tokens + place) for place, answer in enumerate(answers))
    return Recording(Problem(name, "?", verdicts={"a": 1.0, "b": 0.0}), samples)


RECORDINGS = [recording(f"easy{n}", "aaaaaaaaaa") for n in range(6)] + [
    recording(f"hard{n}", "abababbbba") for n in range(4)
]


@pytest.mark.parametrize(("votes", "count"), [("aaaa", 1), ("baaa", 3), ("abab", 1), ("abbb", 3), ("b", 1), ("bba", 1)])
def test_the_oracle_stops_where_the_majority_is_final(votes: str, count: int) -> None:
    assert oracle_branches(votes) == count


def test_every_policy_is_compared_with_even_on_the_same_draws() -> None:
    rows = compare_policies(
        RECORDINGS,
        [Contender("static", lambda id: StaticThreshold()), Contender("decided", lambda id: Decided(), in_flight=True)],
        cap=10,
        orders=3,
    )
    even, static, decided, oracle = rows
    assert [row.name for row in rows] == ["even", "static", "decided", "oracle"]
    assert (even.saved.value, even.branches, even.lossless) == (0.0, 10.0, True)
    assert 0.6 <= even.accuracy.value <= 1.0, "the six easy ones are always right"
    assert decided.lossless
    assert decided.accuracy == even.accuracy
    assert 0 < decided.saved.value < static.saved.value < oracle.saved.value
    assert static.branches < 10
    assert static.accuracy_difference.value == pytest.approx(static.accuracy.value - even.accuracy.value)


def test_the_fitted_length_has_not_seen_its_own_fold() -> None:
    longer = [recording(f"{n}", "aaaaaaaaaa", 1000 if fold_of(f"{n}") else 10) for n in range(40)]
    (length, *_rest) = contenders(longer, orders=2)
    thresholds = {fold_of(r.problem.id): length.policy_of(r.problem.id) for r in longer}
    assert thresholds[0].tokens > 5000 > thresholds[1].tokens  # type: ignore[attr-defined]


def test_every_policy_of_the_study_is_tried_in_rounds_and_in_flight() -> None:
    names = [contender.name for contender in contenders(RECORDINGS, orders=1)]
    assert len(names) == len(set(names)) == 2 * (1 + len(FIXED))
    assert "decided" in names
    assert "decided, in flight" in names
