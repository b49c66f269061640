import pytest

from dynasor.bench.probed_replays import Way
from dynasor.bench.probed_study import ProbedRow, study_probed
from dynasor.datasets.probed_traces import Probe, ProbedChain, ProbedRecording, ProbedTrace
from dynasor.datasets.problem import Problem


def recording(id: str, *told: str, mass: float = 1.0) -> ProbedRecording:
    """Two chains of 400 tokens that end in "1", the right answer; probed every 100."""
    probes = tuple(Probe(100 * n, answer, mass) for n, answer in enumerate(told, 1))
    return ProbedRecording(Problem(id, "?", "1"), (ProbedChain("1", 400, probes),) * 2)


EARLY = recording("early", "1", "1", "1")
LATE = recording("late", "2", "2", "1")


def rows(*recordings: ProbedRecording, stepwise: bool = False) -> list[ProbedRow]:
    return study_probed(ProbedTrace("t", recordings, stepwise), probe_tokens=10)


def row_of(found: list[ProbedRow], way: Way) -> ProbedRow:
    return next(row for row in found if row.way == way and row.budget is None)


def test_what_a_cut_saves_and_loses() -> None:
    found = rows(EARLY, LATE)
    plain, guided = row_of(found, Way("plain")), row_of(found, Way("guided"))
    assert (plain.problems, plain.chains, plain.accuracy.value, plain.tokens.value) == (2, 4, 1.0, 400)
    assert (guided.tokens.value, guided.difference.value) == (430, 0.0)
    assert guided.saved_plain.value == pytest.approx(-30 / 400)
    cut = row_of(found, Way("cut", window=2))
    assert (cut.tokens.value, cut.accuracy.value, cut.difference.value, cut.cut) == (220, 0.5, -0.5, 1.0)
    assert cut.saved.value == pytest.approx(1 - 220 / 430)
    assert cut.saved_plain.value == pytest.approx(1 - 220 / 400)
    assert row_of(found, Way("cut", window=3)).cut == 0.5


def test_windows_that_no_recording_fills_are_left_out() -> None:
    assert {(row.way.every, row.way.window) for row in rows(EARLY) if row.way.window} == {(1, 2), (1, 3)}


def test_the_smallest_limit_that_suffices() -> None:
    limited = {row.way: row for row in rows(EARLY, LATE) if row.tolerance == 0.0}
    assert limited[Way("plain")].budget == 400
    guided = limited[Way("guided")]
    assert (guided.budget, guided.tokens.value, guided.accuracy.value) == (300, 330, 1.0)
    assert limited[Way("plain")].saved.value == pytest.approx(1 - 400 / 330)
    assert Way("cut", window=2) not in limited, "it is never as accurate"
    cut = limited[Way("cut", window=3)]
    assert (cut.budget, cut.tokens.value) == (300, 330)


def test_probes_that_are_steps_cost_nothing() -> None:
    guided = row_of(rows(EARLY, stepwise=True), Way("guided"))
    assert (guided.probe_tokens, guided.tokens.value) == (0, 400)


def test_sure_probes_stand_beside_all_where_some_are_not() -> None:
    unsure = rows(recording("unsure", "2", "2", mass=0.4), EARLY)
    assert row_of(unsure, Way("cut", window=2)).cut == 1.0
    assert row_of(unsure, Way("cut", window=2, least_mass=0.5)).cut == 0.5


def test_probes_that_are_all_sure_stand_alone() -> None:
    assert not any(row.way.least_mass for row in rows(LATE))
