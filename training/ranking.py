"""What scores are worth for choosing among samples of one question. Standard library only.

An AUC over all questions is a trap: a model that only knows which questions are hard has a high one. What counts is the
AUC within each question, and whether choosing by score beats the plain vote at equal samples. It does not know where
scores come from.
"""

import math
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from training.figures import majority

_DRAWS = 50
_RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Scored:
    """A question with the answers and the scores of its samples, in the same order."""

    gold: str
    answers: tuple[str | None, ...]
    scores: tuple[float, ...]

    @property
    def right(self) -> list[float]:
        """The scores of the right samples."""
        return [score for answer, score in zip(self.answers, self.scores, strict=True) if answer == self.gold]

    @property
    def wrong(self) -> list[float]:
        """The scores of the wrong samples."""
        return [score for answer, score in zip(self.answers, self.scores, strict=True) if answer != self.gold]


def auc(right: Sequence[float], wrong: Sequence[float]) -> float | None:
    """The chance that a right one scores above a wrong one, ties counting half; None where one kind is missing."""
    if not right or not wrong:
        return None
    ranked = sorted([(score, 1) for score in right] + [(score, 0) for score in wrong])
    wins, below, place = 0.0, 0, 0
    while place < len(ranked):
        end = place
        while end < len(ranked) and ranked[end][0] == ranked[place][0]:
            end += 1
        rights = sum(kind for _, kind in ranked[place:end])
        wrongs = end - place - rights
        wins += rights * (below + wrongs / 2)
        below += wrongs
        place = end
    return wins / (len(right) * len(wrong))


def best(answers: Sequence[str | None], scores: Sequence[float]) -> str | None:
    """The answer of the highest score."""
    return answers[max(range(len(scores)), key=scores.__getitem__)]


def weighted(answers: Sequence[str | None], scores: Sequence[float]) -> str | None:
    """The answer with the largest sum of probabilities, a score being the log-odds of being right."""
    votes: defaultdict[str, float] = defaultdict(float)
    for answer, score in zip(answers, scores, strict=True):
        if answer is not None:
            votes[answer] += 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))
    return max(votes, key=votes.__getitem__) if votes else None


Choice = Callable[[Sequence[str | None], Sequence[float]], str | None]
CHOICES: dict[str, Choice] = {
    "single": lambda answers, _: answers[0],
    "plain_vote": lambda answers, _: majority(answers),
    "best_of": best,
    "weighted_vote": weighted,
}


def summary(questions: Sequence[Scored], size: int = 8, seed: int = 0) -> dict[str, object]:
    """AUCs, and accuracy by each choice among `size` samples, with 95 % intervals of the gains over the plain vote."""
    rng = random.Random(f"ranking {seed}")
    within = [value for question in questions if (value := auc(question.right, question.wrong)) is not None]
    drawn = [_accuracies(question, size, rng) for question in questions]
    plain = [accuracies["plain_vote"] for accuracies in drawn]
    gains = {
        name: _interval([one[name] - base for one, base in zip(drawn, plain, strict=True)], rng)
        for name in ("best_of", "weighted_vote")
    }
    return {
        "auc_within_question": fmean(within),
        "auc_within_question_interval": _interval(within, rng)[1],
        "questions_with_both": len(within),
        "auc_pooled": auc(
            [score for question in questions for score in question.right],
            [score for question in questions for score in question.wrong],
        ),
        "samples": size,
        **{name: fmean(accuracies[name] for accuracies in drawn) for name in CHOICES},
        "gain_over_plain_vote": {name: {"mean": mean, "interval": bounds} for name, (mean, bounds) in gains.items()},
    }


def _accuracies(question: Scored, size: int, rng: random.Random) -> dict[str, float]:
    """How often each choice among `size` samples is right; all choices see the same draws."""
    hits = dict.fromkeys(CHOICES, 0)
    for _ in range(_DRAWS):
        places = rng.sample(range(len(question.answers)), size)
        answers, scores = [question.answers[place] for place in places], [question.scores[place] for place in places]
        for name, choose in CHOICES.items():
            hits[name] += choose(answers, scores) == question.gold
    return {name: count / _DRAWS for name, count in hits.items()}


def _interval(values: Sequence[float], rng: random.Random) -> tuple[float, list[float]]:
    """The mean, and the 95 % bootstrap interval of it over questions."""
    means = sorted(fmean(rng.choices(values, k=len(values))) for _ in range(_RESAMPLES))
    return fmean(values), [means[round(0.025 * _RESAMPLES)], means[round(0.975 * _RESAMPLES) - 1]]
