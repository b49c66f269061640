import itertools
import random
import re

import pytest
from training.corruptions import corrupted
from training.erring import erring
from training.labels import judge
from training.problems import WordProblem, problems

from training import ranking, slips, thinking

SOLVED = WordProblem(
    "Ben has 12 apples. Then Ben gets 7 more apples. Eva has 3 times as many apples as Ben. How many does Eva have?",
    ("Ben has 12+7=19 apples", "Eva has 19*3=57 apples"), 57, 2, 0,
)  # fmt: skip


def _some(count: int) -> list[WordProblem]:
    return list(itertools.islice(problems(5, "train"), count))


def test_every_step_that_the_generator_writes_is_read_and_right() -> None:
    for problem in _some(300):
        lines = slips.read(problem.steps)
        assert [line.text for line in lines] == list(problem.steps)
        assert [slips.result(line.equation) for line in lines] == [line.value for line in lines]
        assert lines[-1].value == problem.answer


def test_a_line_without_a_calculation_is_refused() -> None:
    with pytest.raises(ValueError, match="no calculation in 'Ben has 19 apples'"):
        slips.read(["Ben has 19 apples"])


@pytest.mark.parametrize(
    ("equation", "value"),
    [("7+5", 12), ("40*25/100", 10), ("7/2", None), ("5-5", None), ("3/0", None), ("99*999", None)],
)
def test_results_are_whole_and_positive_or_none(equation: str, value: int | None) -> None:
    assert slips.result(equation) == value


def test_a_slip_is_carried_through_the_lines_after_it() -> None:
    lines = slips.read(SOLVED.steps)
    wrong = slips.slipped(random.Random(0), lines[0])
    assert wrong.value != 19
    written = slips.carried(SOLVED.question, lines, 0, wrong)
    assert written is not None
    assert written[1].equation == f"{wrong.value}*3"
    assert written[1].value == 3 * wrong.value


def test_a_slip_is_not_carried_where_nobody_can_tell_which_number_is_meant() -> None:
    lines = slips.read(SOLVED.steps)
    wrong = slips.Line("Ben has", "12+7", 18, "apples")
    assert slips.carried(SOLVED.question + " The bus has number 19.", lines, 0, wrong) is None


def test_the_known_solution_is_right_in_any_order_of_its_lines() -> None:
    for problem in _some(200):
        assert judge(problem, problem.solution) == judge(problem, problem.solution)
        assert (judged := judge(problem, problem.solution)).right
        assert judged.wrong_from is None
    turned = WordProblem("?", ("A has 1+2=3 x", "B has 4+5=9 x", "Both have 3+9=12 x"), 12, 3, 0)
    text = "B has 5+4=9 x\nA has 1+2=3 x\nBoth have 9+3=12 x\nThe answer is 12"
    assert judge(turned, text).wrong_from is None


@pytest.mark.parametrize(
    ("text", "wrong_from"),
    [
        ("Ben has 12+7=18 apples\nEva has 18*3=54 apples\nThe answer is 54", "Ben has 12+7=1"),
        ("Ben has 12+7=19 apples\nThe answer is 19", "Ben has 12+7=19 apples\n"),
        ("Ben has 12+7=19 apples\nEva has 19*3=57 apples", "Ben has 12+7=19 apples\nEva has 19*3=57 apples"),
        ("Ben has 12+7=19 apples\nBen has 12+7=19 apples\nThe answer is 19", (2 * "\nBen has 12+7=19 apples")[1:]),
    ],
)  # fmt: skip
def test_the_first_wrong_character_is_found(text: str, wrong_from: str) -> None:
    judged = judge(SOLVED, text)
    assert not judged.right
    assert judged.clear
    assert text[: judged.wrong_from] == wrong_from


def test_a_right_answer_after_a_wrong_line_is_not_clear() -> None:
    judged = judge(SOLVED, "Ben has 12+7=18 apples\nEva has 19*3=57 apples\nThe answer is 57")
    assert judged.right
    assert not judged.clear


def test_what_is_made_wrong_is_wrong_and_looks_like_a_solution() -> None:
    rng, wrong = random.Random(0), 0
    for problem in _some(400):
        text = corrupted(rng, problem)
        if text is not None and (judged := judge(problem, text)).clear:
            wrong += not judged.right
            slips.read(text.split("\n")[:-1])
            assert re.fullmatch(r"The answer is \d+", text.split("\n")[-1])
    assert wrong > 200


def test_a_reasoner_who_errs_slips_in_some_lines_and_goes_on_with_what_it_wrote() -> None:
    rng, lines, slips_made = random.Random(0), 0, 0
    for problem in _some(1500):
        text = erring(rng, problem)
        written = slips.read(text.split("\n")[:-1])
        assert text.endswith(f"\nThe answer is {written[-1].value}")
        wrong = [line for line in written if slips.result(line.equation) != line.value]
        assert len(wrong) <= 1, "what follows a slip is reckoned right"
        lines += len(written)
        slips_made += len(wrong)
    assert 0.05 < slips_made / lines < 0.16


def test_chains_end_with_the_answer_and_mend_what_they_find_wrong() -> None:
    rng = random.Random(0)
    mended = cut = 0
    for problem in _some(400):
        chain, last, answer = thinking.thought(rng, problem).rpartition(f"{thinking.CLOSE}\n")
        assert (last, answer) == (f"{thinking.CLOSE}\n", f"The answer is {problem.answer}")
        lines = chain.splitlines()
        guesses = [line for line in lines if line.startswith(thinking.TENTATIVE)]
        whole = thinking.TENTATIVE + f" {problem.answer}" in lines and "Let me check" in lines
        cut += not whole
        if whole and len(guesses) > 1:
            assert guesses[-1] == f"{thinking.TENTATIVE} {problem.answer}" or not any(" no" in line for line in lines)
            mended += 1
        for line in lines:
            if line.endswith((" yes", " no")):
                equation, value = line.split()[0].split("=")
                assert slips.result(equation) == int(value), "a check reckons right"
    assert mended > 30
    assert cut > 20


def test_the_auc_counts_pairs() -> None:
    assert ranking.auc([3, 2], [1]) == 1
    assert ranking.auc([1], [3, 2]) == 0
    assert ranking.auc([1, 2], [1, 2]) == 0.5
    assert ranking.auc([2, 5, 5], [1, 5]) == pytest.approx((1 + 1 + 1 + 0 + 0.5 + 0.5) / 6)
    assert ranking.auc([], [1]) is None


def test_a_score_that_knows_only_hard_questions_has_a_high_pooled_auc_and_ranks_nothing() -> None:
    easy = ranking.Scored("1", ("1",) * 9 + ("2",), (5.0,) * 10)
    hard = ranking.Scored("1", ("2",) * 9 + ("1",), (-5.0,) * 10)
    found = ranking.summary([easy, hard])
    assert found["auc_within_question"] == 0.5
    assert found["auc_pooled"] == pytest.approx(0.9)
    assert found["weighted_vote"] == found["plain_vote"]


def test_good_scores_beat_the_vote_and_the_interval_says_so() -> None:
    rng = random.Random(0)
    answers = ("1", "2", "2", "2", "3", "1", "2", "2", "1", "2")
    questions = [
        ranking.Scored("1", answers, tuple((answer == "1") * 4 + rng.random() for answer in answers)) for _ in range(30)
    ]
    found = ranking.summary(questions)
    assert found["auc_within_question"] == 1
    gain = found["gain_over_plain_vote"]
    assert isinstance(gain, dict)
    assert gain["best_of"]["interval"][0] > 0.5
