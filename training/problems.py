"""Multi-step word problems with their solutions, made by a seeded program.

A problem is a pure function of the random stream that it is drawn from. Its split is a function of its question alone,
so the splits are disjoint whatever the seeds are. It knows nothing of tokens or models.
"""

import hashlib
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from training.events import ONE_STEP, TWO_STEPS
from training.long_openings import OPENINGS
from training.story import DeadEndError, Story

Split = Literal["train", "calibration", "test"]
ANSWER_PHRASE = "The answer is"
_DISTRACTED_SHARE = 0.3
_ATTEMPTS_PER_EVENT = 12


@dataclass(frozen=True, slots=True)
class WordProblem:
    """A question, the lines of its solution without the answer line, and the answer."""

    question: str
    steps: tuple[str, ...]
    answer: int
    step_count: int
    tier: int

    @property
    def solution(self) -> str:
        """The steps one to a line, and the answer line."""
        return "\n".join((*self.steps, f"{ANSWER_PHRASE} {self.answer}"))


@dataclass(frozen=True, slots=True)
class Mix:
    """How often each step count (from 1 on) and each operand tier (from 0 on) is drawn."""

    step_weights: tuple[float, ...] = (1, 1, 1, 1, 1, 1, 1, 1)
    tier_weights: tuple[float, ...] = (1, 1, 1)

    def draw(self, rng: random.Random) -> tuple[int, int]:
        """A step count and a tier."""
        steps = rng.choices(range(1, len(self.step_weights) + 1), self.step_weights)[0]
        return steps, rng.choices(range(len(self.tier_weights)), self.tier_weights)[0]


FULL_MIX = Mix()
EASY_MIX = Mix((1, 1, 1))


def problem(rng: random.Random, mix: Mix = FULL_MIX) -> WordProblem:
    """The next problem of the random stream."""
    step_count, tier = mix.draw(rng)
    while True:
        story = Story(rng, tier)
        if _told(story, step_count):
            return _finished(story)


def problems(seed: int, split: Split, mix: Mix = FULL_MIX) -> Iterator[WordProblem]:
    """Problems of one split without end; a question may come twice in a long stream of a small mix."""
    rng = random.Random(f"word problems {seed}")
    while True:
        drawn = problem(rng, mix)
        if split_of(drawn.question) == split:
            yield drawn


def held_out(seed: int, split: Split, count: int, mix: Mix = FULL_MIX) -> list[WordProblem]:
    """`count` different problems of one split."""
    unique: dict[str, WordProblem] = {}
    for drawn in problems(seed, split, mix):
        unique.setdefault(drawn.question, drawn)
        if len(unique) == count:
            break
    return list(itertools.islice(unique.values(), count))


def split_of(question: str) -> Split:
    """The split that a question belongs to: 2 % test, 2 % calibration, the rest training."""
    bucket = int.from_bytes(hashlib.md5(question.encode(), usedforsecurity=False).digest()[:8]) % 50
    return "test" if bucket == 0 else "calibration" if bucket == 1 else "train"


def _told(story: Story, step_count: int) -> bool:
    """Tells a story of exactly `step_count` steps, or fails."""
    fitting = [opening for opening, least, _ in OPENINGS if least <= step_count]
    try:
        story.rng.choice(fitting)(story)
    except DeadEndError:
        return False
    while len(story.steps) < step_count:
        if story.closed or not _extended(story, step_count - len(story.steps)):
            return False
    return len(story.steps) == step_count


def _extended(story: Story, room: int) -> bool:
    """Adds one event of at most `room` steps, if one fits the numbers at hand."""
    for _ in range(_ATTEMPTS_PER_EVENT):
        events = TWO_STEPS if room >= 2 and story.rng.random() < 0.3 else ONE_STEP
        told, stepped, holder = len(story.sentences), len(story.steps), story.holder
        try:
            story.rng.choice(events)(story)
        except DeadEndError:
            del story.sentences[told:], story.steps[stepped:]
            story.holder = holder
        else:
            return True
    return False


def _finished(story: Story) -> WordProblem:
    sentences = list(story.sentences)
    if story.rng.random() < _DISTRACTED_SHARE:
        for _ in range(story.rng.randint(1, 2)):
            sentences.insert(story.rng.randint(1, len(sentences)), _distractor(story))
    sentences.append(story.question or _question(story))
    return WordProblem(" ".join(sentences), tuple(story.steps), story.value, len(story.steps), story.tier)


def _question(story: Story) -> str:
    who, item = story.holder.name, story.item
    return story.rng.choice((f"How many {item} does {who} have now?", f"How many {item} does {who} have in the end?",
                             f"Find how many {item} {who} has."))  # fmt: skip


def _distractor(story: Story) -> str:
    """A sentence with a number that the solution does not need."""
    number, who = story.operand(), story.person()
    return story.rng.choice((
        f"{who.name} is {number + 3} years old.", f"{who.name} has {number} {story.thing()}.",
        f"It took {number} minutes.", f"{who.name}'s house has {number} windows.",
        f"The bus leaves every {number} minutes.",
        f"{who.name} lives {number} miles away.", f"{who.name} ran {number} miles last week.",
    ))  # fmt: skip
