from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from dynasor.allocation.allocator import InFlight, InRounds
from dynasor.allocation.threshold import StaticThreshold
from dynasor.certaindex.signal import by_length
from dynasor.errors import ProgramError, UsageError
from dynasor.programs.best_of_n import by_brevity, by_logprob
from dynasor.programs.rebase import Rebase, RebaseSettings
from dynasor.programs.replay import replay
from dynasor.programs.search_settings import SearchSettings
from dynasor.programs.session import Session, Submit
from dynasor.programs.tree import End
from dynasor.request import Completion, Finish, Message, Request, Sampling
from support.programs import cut, indices, outcome_of, session_of
from support.search_models import SearchModel, answer_all, said, tree_of

TWO_THEN_JUDGE = InRounds(StaticThreshold(threshold=0.7, detect_at=2))


def program_of(session: Session) -> Rebase:
    assert isinstance(session.program, Rebase)
    return session.program


def step(request: Request, text: str, reward: float, *, ends: bool = False, tokens: int = 10) -> Completion:
    told = None if ends else "\n"
    return Completion(id=request.id, text=text, reward=reward, stopped_at=told, tokens=tokens)


def land(session: Session, asked: tuple[Request, ...], *steps: tuple[str, float]) -> tuple[Request, ...]:
    """Land a whole depth; steps that end with a full stop end their paths. Gives the next depth."""
    effects: list[object] = []
    for request, (text, reward) in zip(asked, steps, strict=True):
        effects = list(session.land(step(request, text, reward, ends=text.endswith(".")), 1.0))
    (effect,) = effects
    assert isinstance(effect, Submit), effect
    return effect.requests


def start(session: Session) -> tuple[Request, ...]:
    (effect,) = session.start(0.0)
    assert isinstance(effect, Submit)
    return effect.requests


def test_a_walk_of_a_search_of_width_four() -> None:
    session = session_of(cap=4, program=Rebase, sampling=Sampling(max_tokens=500, stop=("Question:",)))
    first = start(session)
    assert [request.id.index for request in first] == [0, 1, 2, 3]
    assert {said(request.prompt) for request in first} == {""}
    assert first[0].sampling == Sampling(max_tokens=256, stop=("\n", "Question:"))
    assert all(request.scored for request in first)

    # one path ends, so 3 branches are shared: e^(0/0.2), e^(-0.2/0.2), e^(-0.8/0.2) are 1, 0.368, 0.018, so
    # 2.16, 0.80, 0.04 are due: rounded 2, 1, 0
    second = land(session, first, ("a", 0.9), ("b", 0.7), ("c", 0.1), ("The answer is 5.", 0.5))
    assert Counter(said(request.prompt) for request in second) == {"a\n": 2, "b\n": 1}
    assert second[0].prompt is second[1].prompt, "children of a node share their prompt"
    assert isinstance(second[0].prompt, tuple)
    assert second[0].prompt[-1] == Message("assistant", "a\n")
    assert second[0].sampling.max_tokens == 256
    assert session.program.knob == 1

    third = land(session, second, ("The answer is 6.", 0.4), ("The answer is 5.", 0.1), ("d", 0.3))
    assert [said(request.prompt) for request in third] == ["b\nd\n"]
    outcome = outcome_of(session.land(step(third[0], "The answer is 6.", 0.15, ends=True), 2.0))
    assert outcome.answer == "5", "5 weighs 0.5 + 0.1, 6 weighs 0.4 + 0.15"
    assert (outcome.knob, outcome.tokens, outcome.stopped_by) == (4, 80, "cap")

    program = program_of(session)
    assert [(node.index, node.end, node.answer) for node in program.tree.walk()] == [
        (0, None, None), (4, End.ANSWER, "6"), (5, End.ANSWER, "5"),
        (1, None, None), (6, None, None), (7, End.ANSWER, "6"), (2, None, None), (3, End.ANSWER, "5"),
    ]  # fmt: skip
    assert program.evidence.ballot.counts == [2, 2], "steps in mid-course cast no vote"
    assert program.evidence.finished == 4
    assert program.evidence.reward_max == 0.5
    assert program.answer_of(program.branches[0]) is None
    assert program.answer_of(program.branches[3]) == "5"


def test_a_step_has_no_more_tokens_than_the_path_has_left() -> None:
    session = session_of(cap=1, program=Rebase, sampling=Sampling(max_tokens=300))
    (request,) = start(session)
    (effect,) = session.land(step(request, "a", 0.5, tokens=200), 1.0)
    assert isinstance(effect, Submit)
    assert effect.requests[0].sampling.max_tokens == 100
    outcome = outcome_of(session.land(step(effect.requests[0], "b", 0.5, tokens=100), 1.0))
    assert (outcome.answer, outcome.knob) == (None, 1), "it is over length"
    assert [node.end for node in program_of(session).candidates] == [End.LENGTH]


def test_a_server_that_tells_no_tokens_is_believed_to_have_spent_some() -> None:
    session = session_of(cap=1, program=Rebase, sampling=Sampling(max_tokens=30))
    (request,) = start(session)
    (effect,) = session.land(Completion(id=request.id, text="a" * 80, reward=0.5, stopped_at="\n", tokens=None), 1.0)
    assert isinstance(effect, Submit)
    assert effect.requests[0].sampling.max_tokens == 10, "a token for four characters"
    assert session.program.evidence.counted == 0


def test_each_grant_is_a_search_of_its_own_in_the_same_tree() -> None:
    session = session_of(TWO_THEN_JUDGE, cap=5, program=Rebase)
    first = start(session)
    assert len(first) == 2
    second = land(session, first, ("The answer is 1.", 0.5), ("The answer is 2.", 0.5))
    assert indices(Submit(second)) == [2, 3, 4]
    assert {said(request.prompt) for request in second} == {""}
    for request in second[:2]:
        session.land(step(request, "The answer is 1.", 0.5, ends=True), 1.0)
    outcome = outcome_of(session.land(step(second[2], "The answer is 3.", 0.5, ends=True), 1.0))
    assert (outcome.answer, outcome.knob) == ("1", 5)
    assert len(program_of(session).tree.root.children) == 5


@pytest.mark.parametrize(
    ("answers", "reward", "stopped_by"),
    [("11", 0.99, "certain"), ("11", 0.98, "cap"), ("12", 1.0, "cap")],
)
def test_it_is_certain_by_answers_and_reward_together(answers: str, reward: float, stopped_by: str) -> None:
    session = session_of(TWO_THEN_JUDGE, cap=3, program=Rebase)
    said = [f"The answer is {answer}." for answer in (*answers, "1")]

    def model(request: Request) -> Completion:
        return step(request, said[request.id.index], reward if request.id.index == 0 else 0.1, ends=True)

    assert answer_all(session, model).end.stopped_by == stopped_by


@pytest.mark.parametrize(("certaindex", "reading"), [("entropy", 1.0), ("reward", 0.4), ("combined", 0.7 * 0.4 / 0.99)])
def test_certaindex_may_be_read_by_one_of_the_two(certaindex: str, reading: float) -> None:
    program = Rebase.with_settings(RebaseSettings(certaindex=certaindex))
    session = session_of(cap=2, program=program)
    outcome = answer_all(session, lambda request: step(request, "The answer is 1.", 0.4, ends=True)).end
    assert outcome.certaindex == pytest.approx(reading)


def test_the_signal_of_the_setup_goes_before() -> None:
    session = session_of(cap=1, program=Rebase, signal=by_length)
    assert answer_all(session, lambda request: step(request, "1.", 0.4, ends=True, tokens=256)).end.certaindex == 0.5


@pytest.mark.parametrize(("settings", "answer"), [({"answer": "best"}, "2"), ({"answer": "votes"}, "1"), ({}, "1")])
def test_answers_are_weighted_or_the_best_or_voted(settings: dict[str, str], answer: str) -> None:
    session = session_of(cap=3, program=Rebase.with_settings(RebaseSettings(**settings)))  # type: ignore[arg-type]
    rewards = [(1, 0.3), (1, 0.3), (2, 0.5)]

    def model(request: Request) -> Completion:
        said, reward = rewards[request.id.index]
        return step(request, f"The answer is {said}.", reward, ends=True)

    assert answer_all(session, model).end.answer == answer


def test_the_rule_and_the_temperature_are_settings() -> None:
    shared = []
    for settings in (RebaseSettings(), RebaseSettings(rule="ceil"), RebaseSettings(temperature=1e-6)):
        session = session_of(cap=4, program=Rebase.with_settings(settings))
        second = land(session, start(session), ("a", 0.9), ("b", 0.8), ("c", 0.5), ("d", 0.2))
        shared.append([Counter(said(request.prompt)[0] for request in second)[name] for name in "abcd"])
    assert shared == [[2, 2, 0, 0], [3, 1, 0, 0], [4, 0, 0, 0]]


def test_a_step_that_fails_is_a_branch_that_is_spent() -> None:
    session = session_of(cap=3, program=Rebase)
    first = start(session)
    session.land(step(first[0], "a", 0.5), 1.0)
    session.land(Completion(id=first[1].id, finish=Finish.FAILED, error="400 no"), 1.0)
    (effect,) = session.land(step(first[2], "b", 0.5), 1.0)
    assert len(indices(effect)) == 2
    assert session.program.knob == 1


def test_a_search_whose_steps_all_fail_ends() -> None:
    session = session_of(cap=3, program=Rebase)
    outcome = answer_all(session, lambda request: Completion(id=request.id, finish=Finish.FAILED, error="400")).end
    assert (outcome.answer, outcome.knob, outcome.failed_count, outcome.certaindex) == (None, 3, 3, 0.0)


def test_in_flight_a_search_that_is_certain_is_cut() -> None:
    session = session_of(InFlight(StaticThreshold(0.7, detect_at=2)), cap=5, program=Rebase)
    first = start(session)
    assert len(first) == 5
    assert session.land(step(first[4], "a", 0.5), 1.0) == []
    assert session.land(step(first[3], "The answer is 1.", 0.99, ends=True), 1.0) == []
    (effect,) = session.land(step(first[0], "The answer is 1.", 0.5, ends=True), 1.0)
    assert indices(effect) == [1, 2]
    assert session.land(step(first[1], "b", 0.5), 1.0) == [], "it ended before the cut reached it"
    outcome = outcome_of(session.land(cut(2), 1.0))
    assert (outcome.answer, outcome.stopped_by, outcome.knob, outcome.cut_count) == ("1", "certain", 2, 2)
    assert program_of(session).answer_of(step(first[1], "b", 0.5)) is None


@pytest.mark.parametrize(
    ("reward", "message"),
    [(None, "needs rewards.*try --scorer logprob"), (float("nan"), r"in \[0, 1\], and got nan"), (1.5, "got 1.5")],
)
def test_rewards_that_are_none_are_told_with_the_mend(reward: float | None, message: str) -> None:
    session = session_of(cap=1, program=Rebase)
    (request,) = start(session)
    with pytest.raises(ProgramError, match=message):
        session.land(Completion(id=request.id, text="a", reward=reward), 1.0)


@pytest.mark.parametrize("scorer", [by_logprob, by_brevity])
def test_by_another_scorer_no_reward_model_is_asked(scorer: Callable[[Completion], float]) -> None:
    session = session_of(cap=4, program=Rebase, scorer=scorer)
    model = SearchModel()

    def unrewarded(request: Request) -> Completion:
        assert not request.scored
        told = model(request)
        return Completion(
            id=told.id, text=told.text, tokens=told.tokens, stopped_at=told.stopped_at, mean_logprob=told.mean_logprob
        )

    assert answer_all(session, unrewarded).end.knob == 4


@pytest.mark.parametrize("failing", [0, 5])
@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_the_knob_is_turned_exactly_and_no_depth_is_wider_than_its_search(seed: int, tells: bool, failing: int) -> None:
    session = session_of(InRounds(StaticThreshold(1.0, detect_at=4)), cap=12, program=Rebase)
    run = answer_all(session, SearchModel(seed, tells=tells, failing=failing))
    assert run.end.knob == 12
    widths = [len(gang) for gang in run.gangs]
    assert (widths[0], max(widths)) == (4, 8)
    assert len(run.asked) == len(set(run.asked)) == sum(widths)
    evidence = session.program.evidence
    failed_branches = 12 - evidence.finished
    assert failed_branches == run.end.failed_count
    assert sum(evidence.ballot.counts) == evidence.finished
    assert evidence.tokens == run.end.tokens == sum(completion.tokens or 0 for completion in run.landed)


def test_the_order_of_landing_does_not_matter() -> None:
    def outcome_and_tree(order: Random | None) -> tuple[object, ...]:
        session = session_of(cap=10, program=Rebase)
        outcome = answer_all(session, SearchModel(3), order).end
        return tree_of(session.program), outcome.answer, outcome.certaindex, outcome.tokens

    expected = outcome_and_tree(None)
    assert all(outcome_and_tree(Random(seed)) == expected for seed in range(5))


@pytest.mark.parametrize("failing", [0, 4])
def test_a_killed_search_goes_on_from_every_instant_and_asks_for_no_step_twice(failing: int) -> None:
    def make() -> Session:
        return session_of(InRounds(StaticThreshold(1.0, detect_at=3)), cap=6, program=Rebase)

    whole, model = make(), SearchModel(1, failing=failing)
    run = answer_all(whole, model, Random(0))
    for kept in range(len(run.landed)):
        session = make()
        left = replay(session, run.landed[:kept], 0.0)
        assert left.outcome is None
        rest = answer_all(session, model, Random(kept), left.requests)
        paid = [completion.id.index for completion in (*run.landed[:kept], *rest.landed)]
        assert sorted(paid) == sorted(run.asked)
        assert tree_of(session.program) == tree_of(whole.program)
        assert replace(rest.end, finished_at=1.0) == run.end
    assert replay(make(), run.landed, 1.0).outcome is not None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": 0.0}, "temperature is 0.0; it must be a number above 0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"rule": "floor"}, "rule is 'floor'; it must be one of paper, ceil"),
        ({"step_end": ""}, "step_end is empty"),
        ({"step_tokens": 0}, "step_tokens is 0"),
        ({"max_depth": 0}, "max_depth is 0"),
        ({"answer": "any"}, "answer is 'any'; it must be one of votes, weighted, best"),
        ({"path_score": "sum"}, "path_score is 'sum'; it must be one of last, mean, product, minimum"),
        ({"certaindex": "length"}, "certaindex is 'length'"),
        ({"reward_threshold": 1.5}, "reward_threshold is 1.5"),
        ({"threshold": 0.0}, "threshold is 0.0"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        RebaseSettings(**wrong)  # type: ignore[arg-type]


def test_settings_make_a_class_of_the_same_name() -> None:
    made = Rebase.with_settings(RebaseSettings(step_end="\\n\\n"))
    assert (made.__name__, made.__module__, made.__doc__) == (Rebase.__name__, Rebase.__module__, Rebase.__doc__)
    assert made.settings.step_end == "\n\n"
    assert Rebase.settings == RebaseSettings()
    assert isinstance(Rebase.settings, SearchSettings)
