from math import exp
from typing import Any

import pytest

from dynasor.allocation.allocator import InRounds
from dynasor.allocation.threshold import StaticThreshold
from dynasor.certaindex.signal import by_logprob
from dynasor.errors import ProgramError, UsageError
from dynasor.programs.best_of_n import SCORERS
from dynasor.programs.weighted import WeightedSelfConsistency
from dynasor.request import Completion
from dynasor.wiring import check_decided, make_policy
from support.programs import landing, play, session_of

ANSWERS = ["a", "a", "b", None]
SURE = (-3.0, -3.0, -0.1, -2.0)


def weighted(**changes: Any) -> str | None:
    session = session_of(cap=4, program=WeightedSelfConsistency, **changes)
    rewards = (0.2, 0.3, 0.9, None)

    def answer(index: int) -> Completion:
        sure = SURE[index]
        return landing(
            index, ANSWERS[index], reward=rewards[index], mean_logprob=sure, tail_logprob=sure, lowest_logprob=sure
        )

    return play(session, answer).answer


def test_the_reward_weighs_unless_told_otherwise() -> None:
    assert weighted() == "b"


@pytest.mark.parametrize(("scorer", "answer"), [("reward", "b"), ("logprob", "b"), ("tail", "b"), ("lowest", "b")])
def test_every_scorer_of_answers_weighs(scorer: str, answer: str) -> None:
    assert weighted(scorer=SCORERS[scorer]) == answer


def test_equal_weights_are_a_plain_vote() -> None:
    assert weighted(scorer=SCORERS["brevity"]) == "a"


@pytest.mark.parametrize("scorer", list(SCORERS))
def test_scores_can_weigh(scorer: str) -> None:
    fields = {"mean_logprob": 1e-9, "tail_logprob": -9999.0, "lowest_logprob": -0.5, "reward": 0.0}
    assert 0.0 <= SCORERS[scorer](landing(0, "a", tokens=None, **fields)) <= 1.0


def test_a_log_probability_weighs_as_a_probability() -> None:
    assert SCORERS["lowest"](landing(0, "a", lowest_logprob=-0.5)) == exp(-0.5)


def test_certaindex_is_that_of_the_weights() -> None:
    def certaindex(rewards: tuple[float, ...], **changes: Any) -> float:
        session = session_of(cap=3, program=WeightedSelfConsistency, **changes)
        answers = ("a", "a", "b")
        return play(session, lambda i: landing(i, answers[i], reward=rewards[i], mean_logprob=-1.0)).certaindex

    assert certaindex((0.9, 0.9, 0.1)) > certaindex((0.5, 0.5, 0.5)) > certaindex((0.4, 0.4, 0.8))
    assert certaindex((0.9, 0.9, 0.1), signal=by_logprob) == pytest.approx(exp(-1.0)), "another signal stays itself"


def test_a_policy_stops_it_by_the_certaindex_of_the_weights() -> None:
    policy = InRounds(StaticThreshold(0.7, 5))
    rewards = (1.0, 1.0, 1.0, 1.0, 0.01)
    session = session_of(policy, cap=20, program=WeightedSelfConsistency)
    outcome = play(session, lambda index: landing(index, "b" if index == 4 else "a", reward=rewards[index % 5]))
    assert (outcome.knob, outcome.stopped_by) == (5, "certain"), "plainly, 4 to 1 reads 0.689"


def test_a_decided_vote_does_not_decide_it() -> None:
    policy, _ = make_policy("decided")
    with pytest.raises(UsageError, match="does not answer by one"):
        check_decided(policy, WeightedSelfConsistency, "weighted-sc")


def test_what_is_no_weight_is_refused() -> None:
    session = session_of(cap=1, program=WeightedSelfConsistency)
    with pytest.raises(ProgramError, match=r"branch 0 weighs -1\.5"):
        play(session, lambda index: landing(index, "a", reward=-1.5))
