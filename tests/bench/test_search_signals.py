from math import isnan

import pytest

from dynasor.bench.search_signals import SignalRow, evidence_of, rank_correlation, study_signals
from dynasor.datasets.problem import Problem
from dynasor.datasets.search_traces import RecordedPath, SearchRecording, SearchTrace


def recording(id: str, answers: str, rewards: tuple[float, ...], *, is_found: bool = False) -> SearchRecording:
    paths = tuple(RecordedPath(answer, 10, (reward,)) for answer, reward in zip(answers, rewards, strict=True))
    problem = Problem(id, "?", verdicts={"x": 1.0, "y": 0.0})
    return SearchRecording(problem, () if is_found else paths, paths if is_found else ())


TRACE = SearchTrace(
    "t",
    (
        recording("sure", "xxxx", (0.9, 1.0, 0.9, 0.9)),
        recording("hopeful", "xxxx", (0.2, 0.2, 0.2, 0.2)),
        recording("torn", "yxyz", (0.9, 0.8, 0.8, 1.0)),
        recording("lost", "yyzw", (0.1, 0.1, 0.1, 0.1)),
    ),
)


def rows(trace: SearchTrace = TRACE, count: int = 4) -> dict[str, SignalRow]:
    return {row.signal: row for row in study_signals(trace) if row.count == count}


def test_the_evidence_of_paths() -> None:
    evidence = evidence_of([RecordedPath("x", 1, (0.1, 0.5)), RecordedPath(None, 1, (0.3,))])
    assert (evidence.finished, evidence.reward_sum, evidence.reward_max) == (2, 0.8, 0.5)
    assert evidence.ballot.counts == [1, 1]


def test_each_signal_by_its_threshold() -> None:
    found = rows()
    assert (found["entropy"].certain, found["entropy"].right_if_certain, found["entropy"].right_if_not) == (0.5, 1, 0)
    assert (found["mean reward"].certain, found["mean reward"].right_if_certain) == (0.5, 0.5)
    both = found["entropy 0.99 and mean reward 0.4"]
    assert (both.certain, both.right_if_certain) == (0.25, 1.0)
    assert both.right_if_not == pytest.approx(1 / 3)
    assert found["entropy 0.85 and best reward 0.99"].certain == 0.25
    assert found["entropy"].correlation.value > 0.8 > found["mean reward"].correlation.value


def test_one_path_says_nothing() -> None:
    assert {row.count for row in study_signals(TRACE)} == {2, 4}
    assert study_signals(SearchTrace("t", (recording("one", "x", (0.5,), is_found=True),))) == []


def test_the_paths_of_a_search() -> None:
    found = rows(SearchTrace("t", tuple(recording(str(n), "xy", (0.5, 0.5), is_found=True) for n in range(2))), 2)
    assert found["entropy"].paths == "search"
    assert isnan(found["entropy"].correlation.value), "all are read alike"
    assert isnan(found["entropy"].right_if_certain)


@pytest.mark.parametrize(
    ("x", "y", "correlation"),
    [((1, 2, 3), (10, 20, 90), 1.0), ((1, 2, 3), (3, 2, 1), -1.0), ((1, 1, 2, 2), (0, 1, 0, 1), 0.0)],
)
def test_rank_correlation(x: tuple[float, ...], y: tuple[float, ...], correlation: float) -> None:
    found = rank_correlation(x, y, draws=50)
    assert found.value == pytest.approx(correlation)
    assert found.low <= found.value <= found.high
