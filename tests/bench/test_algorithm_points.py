"""A run cut at a smaller cap is the run at that cap: the same requests, the same answer, the same tokens."""

from pathlib import Path
from random import Random

import pytest

from dynasor.allocation.allocator import InRounds
from dynasor.allocation.baselines import Even
from dynasor.answers.extract import EXTRACTORS
from dynasor.bench.algorithm_arms import SC, Arm, Reading, branches, full_arms, mcts, plain, rebases
from dynasor.bench.algorithm_points import Log, Point, Solved, points, read_log
from dynasor.datasets.problem import Problem
from dynasor.errors import UsageError
from dynasor.journal.journal import JournalWriter
from dynasor.journal.records import Landed, ProgramFinished
from dynasor.programs.best_of_n import SCORERS
from dynasor.programs.program import Setup
from dynasor.programs.session import Session
from dynasor.request import Completion, Finish
from dynasor.wiring import make_algorithm
from support.journals import finished
from support.search_models import Run, SearchModel, answer_all

PROBLEM = Problem("p0", "What is p0?", "3")
EXTRACT = EXTRACTORS["auto"]


def played(arm: Arm, algorithm: str, scorer: str, cap: int, model: SearchModel, order: Random | None = None) -> Run:
    """A run of its own at this cap."""
    setup = Setup(cap=cap, sampling=arm.sampling, scorer=SCORERS[scorer])
    session = Session(make_algorithm(algorithm)(PROBLEM, setup), InRounds(Even()))
    return answer_all(session, model, order)


def log_of(run: Run) -> Log:
    landed = {done.id: Landed(answer=EXTRACT(done.text), completion=done) for done in run.landed}
    record = finished("p0", question=PROBLEM.question, gold=PROBLEM.gold, answer=run.end.answer, latency_s=7.0)
    return Log({"p0": record}, {"p0": landed})


def alone(arm: Arm, reading: Reading, cap: int, model: SearchModel) -> Solved:
    """What a run at this cap alone comes to."""
    end = played(arm, reading.algorithm, reading.scorer, cap, model).end
    latency_s = 7.0 if cap == arm.cap else None
    return Solved(float(end.answer == PROBLEM.gold), end.tokens, end.certaindex, end.knob, latency_s)


def expected(arm: Arm, model: SearchModel) -> list[Point]:
    return [
        Point(reading.curve, arm.name, cap, {"p0": alone(arm, reading, cap, model)})
        for reading in arm.readings
        for cap in reading.caps
    ]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("arm", [mcts(20, rewarded=True), mcts(10, rewarded=False), *rebases((8,), rewarded=True)])
def test_a_search_cut_short_is_the_shorter_search(arm: Arm, seed: int) -> None:
    model = SearchModel(seed, failing=9 * (seed % 2))
    whole = played(arm, str(arm.algorithm), arm.scorer, arm.cap, model, Random(seed))
    found = list(points(arm, log_of(whole), ["p0"]))
    assert found == expected(arm, model)


def test_the_shorter_searches_are_shorter() -> None:
    """Else the test above would show nothing."""
    arm = mcts(20, rewarded=True)
    whole = played(arm, "mcts", "reward", 20, SearchModel(0))
    tokens = [point.solved["p0"].tokens for point in points(arm, log_of(whole), ["p0"]) if "votes" in point.curve]
    assert len(tokens) == len(set(tokens)) == 5
    assert tokens == sorted(tokens)


@pytest.mark.parametrize("seed", range(4))
def test_branches_cut_short_are_fewer_branches_whatever_landed_first(seed: int) -> None:
    arm, model = branches(20), SearchModel(seed, steps=0)
    whole = played(arm, "weighted-sc", "reward", 20, model, Random(seed))
    assert [done.id.index for done in whole.landed] != sorted(done.id.index for done in whole.landed)
    found = list(points(arm, log_of(whole), ["p0"]))
    # Where answers weigh alike, the order of landing decides nothing, so these are equal in every figure.
    assert found == expected(arm, model)
    assert {point.curve for point in found} == {
        SC,
        *(f"{way}, {scorer}" for way in ("weighted-sc", "best-of-n") for scorer in ("reward", "logprob")),
    }


def test_a_run_that_is_read_as_it_ended() -> None:
    record = finished("p0", correct=0.0, tokens=120, certaindex=0.25, knob=1, latency_s=2.0)
    (point,) = points(plain(), Log({"p0": record}), ["p0"])
    assert (point.curve, point.cap) == ("thinking", 1)
    assert point.solved == {"p0": Solved(0.0, 120, 0.25, 1, 2.0)}


def test_a_journal_that_holds_too_little() -> None:
    arm = branches(10)
    run = played(arm, "sc", "reward", 9, SearchModel(steps=0))
    with pytest.raises(UsageError, match=r"^sc at cap 10 asks for more than the journal of branches holds of 'p0'"):
        list(points(arm, log_of(run), ["p0"]))


def test_a_request_that_was_asked_again_counts_as_it_landed_last(tmp_path: Path) -> None:
    run = played(branches(3), "sc", "reward", 3, SearchModel(steps=0))
    failed = Completion(id=run.landed[0].id, finish=Finish.FAILED, error="503")
    last = finished("p0")
    with JournalWriter(tmp_path / "journal.jsonl") as journal:
        for done in (failed, run.landed[1], run.landed[0], run.landed[2]):
            journal.append(Landed(answer=None, completion=done))
        journal.append(last)
    log = read_log(tmp_path / "journal.jsonl")
    assert [record.completion for record in log.landed["p0"].values()] == [run.landed[1], run.landed[0], run.landed[2]]
    assert log.finished == {"p0": last}
    assert isinstance(last, ProgramFinished)


def test_the_arms_of_the_study() -> None:
    arms = full_arms()
    assert len({arm.name for arm in arms}) == len(arms)
    shown = {(reading.curve, cap) for arm in arms for reading in arm.readings for cap in reading.caps or (arm.cap,)}
    assert {cap for curve, cap in shown if curve == "weighted-sc, logprob"} == {5, 10, 15, 20, 25, 30, 35, 40}
    assert {cap for curve, cap in shown if curve == "rebase weighted, reward"} == {4, 8, 16, 32, 64}
    assert {cap for curve, cap in shown if curve == "mcts votes, logprob"} == {3, 5, 10, 15, 20}
    assert {cap for curve, cap in shown if curve == "probed-cot"} == {80, 40, 20, 10}  # 640 tokens in rounds
