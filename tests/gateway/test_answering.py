"""What a program came to, as a client is told: which branch speaks, and what is told apart in it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.answers.grouping import ByText
from dynasor.datasets.problem import Problem
from dynasor.gateway.answering import told_apart, usage
from dynasor.gateway.reasoning_candidates import Candidate, best, candidates, concluded, ranked
from dynasor.programs.best_of_n import BestOfN, by_brevity
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.request import Completion, Finish, ProgramId, RequestId

PROGRAM = SelfConsistency(Problem("p", ""), Setup(cap=9, grouping=ByText))


def candidate(index: int, answer: str | None, tokens: int = 5, **fields: Any) -> Candidate:
    return Candidate(index, answer, f"text {index}", tokens, **fields)


def test_the_shortest_that_ended_by_itself_speaks() -> None:
    found = [candidate(0, "7", 9), candidate(1, "7", 2, is_whole=False), candidate(2, "7", 4), candidate(3, "8", 1)]
    answers = ranked(PROGRAM, found, "7")
    assert [branch.index for branch in answers[0].branches] == [2, 0, 1]
    assert [answer.answer for answer in answers] == ["7", "8"]


def test_the_program_s_own_answer_is_first_whatever_the_votes() -> None:
    found = [candidate(0, "8"), candidate(1, "8"), candidate(2, None), candidate(3, "7", weight=0.9)]
    assert [answer.answer for answer in ranked(PROGRAM, found, "7")] == ["7", "8", None]
    assert [branch.index for branch in best(ranked(PROGRAM, found, "7"), 9)] == [3, 0, 2, 1]


def test_the_weightiest_speaks_before_the_shortest() -> None:
    found = [candidate(0, "7", 1, weight=0.2), candidate(1, "7", 9, weight=0.8)]
    assert best(ranked(PROGRAM, found, "7"), 1)[0].index == 1


def test_branches_that_are_scored_weigh_their_score() -> None:
    program = BestOfN(Problem("p", ""), Setup(cap=2, grouping=ByText, scorer=by_brevity))
    ended = {}
    for index, tokens in ((0, 9), (1, 1)):
        completion = Completion(id=RequestId(ProgramId("p"), index), text="the answer is 1", tokens=tokens)
        ended[completion.id] = completion
        program.land(completion)
    assert [branch.weight for branch in candidates(program, ended)] == [0.1, 0.5]


def test_the_prompt_counts_once() -> None:
    ids = [RequestId(ProgramId("p"), index) for index in range(3)]
    ended = {
        ids[0]: Completion(id=ids[0], prompt_tokens=7),
        ids[1]: Completion(id=ids[1], prompt_tokens=20),
        ids[2]: Completion(id=ids[2], finish=Finish.CANCELLED),
    }
    assert usage(ended, 50, 20) == {
        "prompt_tokens": 7,
        "completion_tokens": 50,
        "total_tokens": 57,
        "completion_tokens_details": {"reasoning_tokens": 30},
    }
    assert usage({}, 0, 0)["total_tokens"] == 0


@pytest.mark.parametrize(
    ("text", "ended", "parts"),
    [
        ("plain", False, ("", "plain")),
        ("<think>so</think>\n\nyes", True, ("so", "yes")),
        ("<think>so", False, ("so", "")),
        ("<think>so</thi", False, ("so", "")),
        ("<think>so</thi", True, ("so</thi", "")),
        ("<think>a < b", False, ("a < b", "")),
        ("<think>a <", False, ("a ", "")),
    ],
)
def test_thoughts_are_told_apart(text: str, ended: bool, parts: tuple[str, str]) -> None:
    assert told_apart(text, ended=ended) == parts


@given(st.text("<think>/ab\n", max_size=40), st.integers(0, 48))
def test_what_was_sent_of_a_text_that_grows_is_never_taken_back(rest: str, size: int) -> None:
    text = "<think>" + rest
    for whole, part in zip(told_apart(text, ended=True), told_apart(text[: 7 + size], ended=False), strict=True):
        assert whole.startswith(part)


def test_a_chain_that_was_cut_ends_with_its_answer() -> None:
    assert concluded("so far", None) == "so far"
    assert concluded("so far", "7") == "so far\n\n**Final answer:** \\boxed{7}"
    assert concluded("<think>so far", "7") == "<think>so far\n</think>\n\n**Final answer:** \\boxed{7}"
