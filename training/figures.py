"""What the samples of a policy say about it: accuracy, votes, zones of difficulty, certaindex. Standard library only.

Certaindex and votes follow `dynasor.certaindex.entropy` and `dynasor.answers.voting`; the tests compare them. It does
not know how the samples were made.
"""

import math
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import StatisticsError, correlation, fmean

from training.problems import ANSWER_PHRASE

VOTE_SIZES = (5, 10, 20, 40)
DETECT_AT = 5  # samples that certaindex is taken from
_DRAWS = 100
_EASY_SHARE = 0.9
_ANSWER = re.compile(rf"^{re.escape(ANSWER_PHRASE)} (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Answered:
    """A question with the answers of its samples in the order of sampling; None where there is none."""

    gold: str
    answers: tuple[str | None, ...]
    token_counts: tuple[int, ...]
    step_count: int
    tier: int

    @property
    def right_share(self) -> float:
        """The share of the samples that are right."""
        return self.answers.count(self.gold) / len(self.answers)


def answer_in(text: str) -> str | None:
    """The number after the last answer phrase of a solution, in its shortest spelling."""
    found = _ANSWER.findall(text)
    return str(int(found[-1])) if found else None


def majority(answers: Iterable[str | None]) -> str | None:
    """The most frequent answer, the earlier one among equals; None only where there is no answer."""
    counts = Counter(answer for answer in answers if answer is not None)
    return max(counts, key=counts.__getitem__) if counts else None


def certaindex(answers: Sequence[str | None]) -> float:
    """(log n - H) / log n over the groups of n answers, "no answer" being a group; 0 where none has an answer."""
    count = len(answers)
    if count < 2 or all(answer is None for answer in answers):
        return 0.0
    return sum(size * math.log(size) for size in Counter(answers).values()) / (count * math.log(count))


def vote_share(question: Answered, size: int, rng: random.Random) -> float:
    """How often the majority of `size` samples drawn from the question's is right."""
    if size >= len(question.answers):
        return float(majority(question.answers) == question.gold)
    draws = (rng.sample(question.answers, size) for _ in range(_DRAWS))
    return fmean(majority(draw) == question.gold for draw in draws)


def samples_needed(question: Answered) -> int | None:
    """The smallest n from which on the majority of the first n samples stays right; None if it ends up wrong."""
    needed: int | None = None
    for size in range(1, len(question.answers) + 1):
        right = majority(question.answers[:size]) == question.gold
        needed = (needed or size) if right else None
    return needed


def zone(question: Answered, rng: random.Random) -> str:
    """`impossible`: the vote of all samples is wrong; `easy`: that of 5 is right in 90 % of draws; else `scaling`."""
    if majority(question.answers) != question.gold:
        return "impossible"
    return "easy" if vote_share(question, DETECT_AT, rng) >= _EASY_SHARE else "scaling"


def summary(questions: Sequence[Answered], seed: int = 0) -> dict[str, object]:
    """All figures of an evaluation; shares are between 0 and 1."""
    rng = random.Random(f"draws {seed}")
    sizes = [size for size in VOTE_SIZES if size <= len(questions[0].answers)]
    zones = Counter(zone(question, rng) for question in questions)
    needed = [(question, count) for question in questions if (count := samples_needed(question)) is not None]
    answers = [answer for question in questions for answer in question.answers]
    return {
        "questions": len(questions),
        "samples_per_question": len(questions[0].answers),
        "accuracy_at_1": fmean(question.right_share for question in questions),
        **{f"majority_at_{size}": fmean(vote_share(question, size, rng) for question in questions) for size in sizes},
        "pass_at_all": fmean(question.right_share > 0 for question in questions),
        "zones": {name: zones[name] / len(questions) for name in ("easy", "scaling", "impossible")},
        "certaindex_to_samples_needed": _pearson(
            [certaindex(question.answers[:DETECT_AT]) for question, _ in needed], [count for _, count in needed]
        ),
        "mean_samples_needed": fmean(count for _, count in needed) if needed else None,
        "mean_tokens": fmean(count for question in questions for count in question.token_counts),
        "no_answer_share": answers.count(None) / len(answers),
        "accuracy_by_steps": _by(questions, "step_count"),
        "accuracy_by_tier": _by(questions, "tier"),
    }


def _pearson(one: Sequence[float], two: Sequence[float]) -> float | None:
    try:
        return correlation(one, two)
    except StatisticsError:  # fewer than two points, or all alike
        return None


def _by(questions: Sequence[Answered], name: str) -> dict[str, float]:
    keys = sorted({getattr(question, name) for question in questions})
    return {
        str(key): fmean(question.right_share for question in questions if getattr(question, name) == key)
        for key in keys
    }
