import itertools
import random
import re
from collections import Counter
from typing import Literal

import pytest
from training.problems import EASY_MIX, Mix, WordProblem
from training.story import DeadEndError, Story

from training import long_openings, problems

_EQUATION = re.compile(r"(\d+(?:[-+*/]\d+)+)=(\d+)")


def _drawn(count: int, seed: int = 0, mix: Mix = problems.FULL_MIX) -> list[WordProblem]:
    rng = random.Random(seed)
    return [problems.problem(rng, mix) for _ in range(count)]


def _value(expression: str) -> int:
    """The value of a chain of operations, from left to right and with exact division only."""
    first, *rest = re.findall(r"[-+*/]?\d+", expression)
    value = int(first)
    for part in rest:
        sign, operand = part[0], int(part[1:])
        if sign == "/":
            assert value % operand == 0, expression
        value = {"+": value + operand, "-": value - operand, "*": value * operand, "/": value // operand}[sign]
    return value


def test_every_line_holds_and_the_last_is_the_answer() -> None:
    for drawn in _drawn(1_000):
        lines = drawn.solution.splitlines()
        values = []
        for line in lines[:-1]:
            equations = _EQUATION.findall(line)
            assert len(equations) == 1, line
            assert _value(equations[0][0]) == int(equations[0][1]), line
            assert line[-1].isalpha(), "a step ends in letters, so that its newline is a token of its own"
            values.append(int(equations[0][1]))
        assert lines[-1] == f"The answer is {values[-1]}"
        assert drawn.answer == values[-1]
        assert drawn.step_count == len(values)


def test_every_number_of_a_step_is_in_the_question_or_in_an_earlier_step() -> None:
    for drawn in _drawn(500):
        known = set(re.findall(r"\d+", drawn.question)) | {"2", "100"}  # a half, and percent
        for step in drawn.steps:
            ((expression, value),) = _EQUATION.findall(step)
            assert set(re.findall(r"\d+", expression)) <= known, (drawn.question, step)
            known.add(value)


def test_results_keep_to_the_limits_of_their_tier() -> None:
    highest = Counter[int]()
    for drawn in _drawn(1_500):
        top = max(int(value) for step in drawn.steps for _, value in _EQUATION.findall(step))
        highest[drawn.tier] = max(highest[drawn.tier], top)
    assert highest[0] <= 60 < highest[1] <= 300 < highest[2] <= 999


def test_the_same_stream_gives_the_same_problems() -> None:
    assert _drawn(50, seed=7) == _drawn(50, seed=7)
    assert _drawn(50, seed=7) != _drawn(50, seed=8)


def test_the_mix_decides_steps_and_tiers() -> None:
    mix = Mix(step_weights=(0, 1, 0, 3), tier_weights=(0, 1))
    counts = Counter((drawn.step_count, drawn.tier) for drawn in _drawn(400, mix=mix))
    assert set(counts) == {(2, 1), (4, 1)}
    assert counts[4, 1] > 2 * counts[2, 1]
    assert max(drawn.step_count for drawn in _drawn(200, mix=EASY_MIX)) == 3


def test_there_are_at_least_ten_openings_and_each_tells_what_it_promises() -> None:
    assert len(long_openings.OPENINGS) >= 10
    for opening, least, most in long_openings.OPENINGS:
        counts = set()
        for seed in range(300):
            story = Story(random.Random(seed), 2)
            try:
                opening(story)
            except DeadEndError:
                continue
            counts.add(len(story.steps))
        assert (min(counts), max(counts)) == (least, most), opening.__name__


@pytest.mark.slow
def test_wording_varies() -> None:
    trigrams = set[tuple[str, str, str]]()
    for drawn in _drawn(2_000):
        words = re.sub(r"\d+", "#", drawn.question).split()
        trigrams.update(zip(words, words[1:], words[2:], strict=False))
    assert len(trigrams) > 8_000


def test_about_a_third_has_a_distractor() -> None:
    unused = 0
    drawn = _drawn(1_000, mix=Mix((0, 1)))
    for one in drawn:
        solution = " ".join(one.steps)
        unused += any(number not in solution for number in re.findall(r"\d+", one.question))
    assert 0.2 < unused / len(drawn) < 0.5


@pytest.mark.slow
def test_splits_are_disjoint_whatever_the_seeds() -> None:
    splits: tuple[Literal["train", "calibration", "test"], ...] = ("train", "calibration", "test")
    seen: dict[str, set[str]] = {}
    for seed in range(4):
        for split in splits:
            count = 24_000 if split == "train" else 500
            drawn = {one.question for one in itertools.islice(problems.problems(seed, split), count)}
            seen.setdefault(split, set()).update(drawn)
    assert sum(map(len, seen.values())) > 95_000
    for one, two in itertools.combinations(splits, 2):
        assert not seen[one] & seen[two]


def test_the_held_out_splits_are_two_percent_each() -> None:
    counts = Counter(problems.split_of(drawn.question) for drawn in _drawn(2_500))
    assert 25 < counts["test"] < 80
    assert 25 < counts["calibration"] < 80


def test_held_out_problems_are_different_and_of_their_split() -> None:
    drawn = problems.held_out(0, "calibration", 60)
    assert len({one.question for one in drawn}) == 60
    assert {problems.split_of(one.question) for one in drawn} == {"calibration"}
