from collections import deque
from statistics import quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.allocation.allocator import InFlight, InRounds
from dynasor.allocation.baselines import Even
from dynasor.allocation.threshold import StaticThreshold
from dynasor.engines.logprobs import WINDOW
from dynasor.errors import ProgramError
from dynasor.programs.deepconf import DeepConf, DeepConfSettings, percentile
from dynasor.programs.session import Cancel, Finished, Session, Submit
from dynasor.request import Completion, Finish, ProgramId, Report, Request, RequestId
from support.programs import PROBLEM, cut, indices, landing, play, session_of, setup


class Short(DeepConf):
    """A warm-up of four."""

    settings = DeepConfSettings(warmup=4, kept_percent=75.0)


class Demanding(Short):
    settings = DeepConfSettings(warmup=4, kept_percent=25.0)


def report(index: int, lowest: float | None, tokens: int = 64) -> Report:
    return Report(id=RequestId(ProgramId("p"), index), text="...", tokens=tokens, lowest_logprob=lowest)


def warmed(program: type[DeepConf], lowest: list[float], answers: str, cap: int = 8) -> tuple[Session, DeepConf]:
    """A session whose warm-up has landed, and what runs."""
    session = Session(program(PROBLEM, setup(cap)), InRounds(Even()))
    session.start(0.0)
    for index, (sure, answer) in enumerate(zip(lowest, answers, strict=True)):
        effects = session.land(landing(index, answer, lowest_logprob=sure), 1.0)
    assert isinstance(session.program, DeepConf)
    assert cap == len(lowest) or isinstance(effects[0], Submit)
    return session, session.program


def test_the_warm_up_sets_the_threshold() -> None:
    lowest = [-0.4, -0.1, -0.2, -0.3]
    assert warmed(Short, lowest, "abcd")[1].threshold == pytest.approx(-0.325), (
        "a quarter of the way up, as numpy has it"
    )
    assert warmed(Demanding, lowest, "abcd")[1].threshold == pytest.approx(-0.175)


@given(st.lists(st.floats(-10, 0), min_size=2, max_size=20), st.integers(1, 99))
def test_percentiles_are_the_usual_ones(values: list[float], percent: int) -> None:
    usual = quantiles(values, n=100, method="inclusive")[percent - 1]
    assert percentile(values, percent) == pytest.approx(usual, abs=1e-9)
    assert min(values) <= percentile(values, percent) <= max(values)


@given(st.floats(-10, 0), st.integers(1, 20), st.floats(0, 100))
def test_branches_that_are_equally_sure_all_pass(value: float, count: int, percent: float) -> None:
    assert percentile([value] * count, percent) == value


def test_a_running_branch_is_cut_where_a_full_group_falls_below_the_threshold() -> None:
    _, program = warmed(Short, [-0.4, -0.1, -0.2, -0.3], "abcd")
    assert program.observe(report(4, -0.33))
    assert not program.observe(report(4, -0.32))
    assert not program.observe(report(4, -9.0, tokens=63)), "the mean of fewer tokens than a group is no group's"
    assert not program.observe(report(4, None))


def test_a_group_is_what_the_engines_take_for_one() -> None:
    assert DeepConf.settings.group_tokens == WINDOW


def test_nothing_is_cut_during_the_warm_up() -> None:
    program = DeepConf(PROBLEM, setup())
    assert not program.observe(report(0, -9.0))


def test_through_a_session_a_cut_branch_does_not_vote() -> None:
    session, program = warmed(Short, [-0.4, -0.1, -0.2, -0.3], "abcc", cap=7)
    (cancelled,) = session.report(report(4, -0.9), 2.0)
    assert isinstance(cancelled, Cancel)
    assert indices(cancelled) == [4]
    assert session.land(cut(4, tokens=70), 2.0) == []
    assert session.report(report(5, -0.2), 2.0) == []
    session.land(landing(5, "b", lowest_logprob=-0.2), 3.0)
    (finished,) = session.land(landing(6, "b", lowest_logprob=-0.2), 3.0)
    assert isinstance(finished, Finished)
    assert (finished.outcome.answer, finished.outcome.cut_count, finished.outcome.cut_tokens) == ("b", 1, 70)
    assert program.ballot.cast_count == 5, "three of the warm-up, and two"


def test_a_branch_that_ends_below_the_threshold_does_not_vote_either() -> None:
    session, program = warmed(Short, [-0.4, -0.1, -0.2, -0.3], "abcc", cap=5)
    (finished,) = session.land(landing(4, "b", lowest_logprob=-5.0), 2.0)
    assert isinstance(finished, Finished)
    assert (finished.outcome.answer, program.ballot.cast_count) == ("c", 3)


def test_votes_weigh_as_much_as_their_lowest_group_is_sure() -> None:
    _, program = warmed(Short, [-9.0, -2.0, -2.0, -0.1], "xaab", cap=4)
    assert program.ballot.majority == "b"


def test_the_question_ends_once_the_weights_agree() -> None:
    session, program = warmed(Short, [-4.0, -0.1, -1.7, -0.1], "xbab", cap=40)
    assert not program.agreed
    started = session.in_flight_count
    effects = session.land(landing(4, "b", lowest_logprob=-0.1), 2.0)
    assert not program.agreed
    assert effects == []
    session.land(landing(5, "b", lowest_logprob=-0.01), 2.0)
    assert program.ballot.share > 0.95
    (cancelled,) = session.report(report(6, -0.01, tokens=8), 2.0)
    assert isinstance(cancelled, Cancel), "whatever still runs is no longer needed"
    assert started == 36


def test_a_warm_up_that_agrees_is_the_end() -> None:
    outcome = play(session_of(cap=40, program=Short), lambda index: landing(index, "a", lowest_logprob=-0.1))
    assert (outcome.answer, outcome.knob) == ("a", 4)


@pytest.mark.parametrize("kind", [InRounds, InFlight])
def test_branches_that_are_cut_count_towards_the_cap(kind: type[InRounds] | type[InFlight]) -> None:
    session = session_of(kind(Even()), cap=10, program=Short)
    waiting = deque[int]()
    drawn = 0
    effects = session.start(0.0)
    while not any(isinstance(effect, Finished) for effect in effects):
        for effect in effects:
            waiting += indices(effect)
            drawn += len(indices(effect))
        index = waiting.popleft()
        if index < 4:
            effects = session.land(landing(index, "abcd"[index], lowest_logprob=-0.1), 1.0)
        else:
            session.report(report(index, -9.0), 1.0)
            effects = session.land(cut(index), 1.0)
    assert drawn == 10


def test_one_branch_alone_does_not_agree() -> None:
    _, program = warmed(Demanding, [-0.4, -0.1, -0.2, -0.3], "abcd")
    assert program.ballot.share == 1.0
    assert not program.agreed


def test_the_warm_up_is_not_watched_and_the_rest_is() -> None:
    made: list[Request] = []
    session = session_of(cap=6, program=Short)
    (first,) = session.start(0.0)
    assert isinstance(first, Submit)
    made += first.requests
    for index in range(4):
        effects = session.land(landing(index, "abcd"[index], lowest_logprob=-0.1), 1.0)
    assert isinstance(effects[0], Submit)
    made += effects[0].requests
    assert [request.report_every for request in made] == [None] * 4 + [16] * 2
    assert all(request.sampling.logprobs for request in made), "asked for without being told to"
    assert DeepConf.wants_reports


def test_a_policy_may_end_the_warm_up() -> None:
    session = session_of(InRounds(StaticThreshold(0.7, 2)), cap=20, program=Short)
    outcome = play(session, lambda index: landing(index, "a", lowest_logprob=-0.1))
    assert (outcome.answer, outcome.knob, outcome.stopped_by) == ("a", 2, "certain")


def test_an_answer_that_is_not_sure_is_better_than_none() -> None:
    answers = {3: "unsure"}
    session = session_of(cap=4, program=Short)
    outcome = play(session, lambda i: landing(i, answers.get(i), lowest_logprob=-9.0 if i == 3 else -0.1))
    assert outcome.answer == "unsure"


def test_a_warm_up_that_failed_leaves_nothing_to_compare_with() -> None:
    def failed(index: int) -> Completion:
        return Completion(id=RequestId(ProgramId("p"), index), finish=Finish.FAILED, error="down")

    outcome = play(session_of(cap=8, program=Short), failed)
    assert (outcome.answer, outcome.failed_count) == (None, 8)


def test_it_says_what_it_misses() -> None:
    with pytest.raises(ProgramError, match="these completions carry none"):
        play(session_of(cap=4, program=Short), lambda index: landing(index, "a"))
