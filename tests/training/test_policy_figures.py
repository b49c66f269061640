import random
from itertools import pairwise

import pytest
from training.figures import Answered

from dynasor.answers.grouping import ByText
from dynasor.answers.voting import Ballot
from dynasor.certaindex.entropy import entropy_certaindex
from training import figures


def _question(answers: str, gold: str = "a") -> Answered:
    """One letter a sample; a dot is no answer."""
    spelled = tuple(None if letter == "." else letter for letter in answers)
    return Answered(gold, spelled, (10,) * len(spelled), step_count=1, tier=0)


def test_the_answer_is_read_from_its_own_line() -> None:
    assert figures.answer_in("Ben has 2+3=5 pens\nThe answer is 5") == "5"
    assert figures.answer_in("The answer is 007") == "7"
    assert figures.answer_in("The answer is 5 pens") is None
    assert figures.answer_in("Ben has 2+3=5 pens") is None


def test_votes_and_certaindex_are_those_of_the_package() -> None:
    rng = random.Random(0)
    for _ in range(300):
        answers = [rng.choice(["1", "2", "3", None]) for _ in range(rng.randint(1, 12))]
        ballot = Ballot(ByText())
        for branch, answer in enumerate(answers):
            ballot.cast(branch, answer)
        assert figures.majority(answers) == ballot.majority
        assert figures.certaindex(answers) == pytest.approx(entropy_certaindex(ballot), abs=1e-12)


def test_samples_needed_is_where_the_vote_turns_right_for_good() -> None:
    assert figures.samples_needed(_question("aaaa")) == 1
    assert figures.samples_needed(_question("abbaa")) == 4  # a tie goes to the earlier answer
    assert figures.samples_needed(_question("baa")) == 3
    assert figures.samples_needed(_question("abb")) is None


def test_zones() -> None:
    rng = random.Random(0)
    assert figures.zone(_question("a" * 39 + "b"), rng) == "easy"
    assert figures.zone(_question("a" * 22 + "b" * 18), rng) == "scaling"
    assert figures.zone(_question("a" * 18 + "b" * 22), rng) == "impossible"


def test_a_vote_of_more_samples_wins_more_often_where_most_are_right() -> None:
    question = _question("a" * 24 + "b" * 16)
    shares = [figures.vote_share(question, size, random.Random(0)) for size in (1, 11, 31, 40)]
    assert all(few < many for few, many in pairwise(shares))
    assert shares[0] == pytest.approx(0.6, abs=0.12)
    assert shares[-1] == 1.0


def test_the_summary_of_three_known_questions() -> None:
    summary = figures.summary([_question("aaaaaaaa"), _question("aabaabaa"), _question("bbbbbb..")])
    assert summary["accuracy_at_1"] == pytest.approx((1 + 0.75 + 0) / 3)
    assert summary["pass_at_all"] == pytest.approx(2 / 3)
    assert summary["no_answer_share"] == pytest.approx(2 / 24)
    assert summary["mean_tokens"] == 10
    assert "majority_at_5" in summary
    assert "majority_at_10" not in summary
