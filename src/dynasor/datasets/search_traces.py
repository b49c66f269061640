"""Recorded reasoning paths with rewards: independent samples, and what searches came to.

Knows two forms: samples with a `reward` or with `step_rewards`, of which a run named `beam_search/...` made some; and
the log of a tree-of-thoughts search, level by level. It does not know how an answer is chosen from them.
"""

from math import exp
from pathlib import Path

import msgspec

from dynasor.datasets.files import bare_name
from dynasor.datasets.problem import Problem
from dynasor.datasets.recordings import RecordingSet
from dynasor.datasets.tables import json_objects
from dynasor.errors import BadRow, UsageError

_BEST_VALUE = 60.0  # of a state in the log: the sum of three judgements, of which each is worth at most 20
_SEARCHES = "beam_search/"
_ANSWER = "Answer: "


class RecordedPath(msgspec.Struct, frozen=True):
    """One finished path.

    Attributes:
        answer: None where it states none.
        tokens: generated for it; for a path of a search, for all of the search that made it.
        rewards: of its steps, first to last, in [0, 1]; at least one.
    """

    answer: str | None
    tokens: int
    rewards: tuple[float, ...]


class SearchRecording(msgspec.Struct, frozen=True):
    """The paths of one problem.

    Attributes:
        samples: independent ones, in exchangeable order.
        found: what one search came to.
    """

    problem: Problem
    samples: tuple[RecordedPath, ...]
    found: tuple[RecordedPath, ...]


class SearchTrace(msgspec.Struct, frozen=True):
    """A trace of paths with rewards.

    Attributes:
        is_squashed: the rewards were no probabilities, so they were drawn into [0, 1] by the logistic function.
    """

    name: str
    recordings: tuple[SearchRecording, ...]
    is_squashed: bool = False


class _Level(msgspec.Struct):
    candidates: list[str]
    values: list[float]
    selected: list[int]


class _Sample(msgspec.Struct):
    answer: str | int | float | None
    tokens: int
    reward: float | None = None
    step_rewards: list[float] | None = None
    run: str = ""


class _Question(msgspec.Struct):
    id: str
    question: str = ""
    samples: list[_Sample] = []
    steps: list[_Level] = []
    final: list[str] = []
    final_correct: list[bool] = []
    api_completion_tokens: int = 0


def read_searches(path: Path) -> SearchTrace:
    """Read a trace of paths with rewards.

    Raises:
        BadRow: a line cannot be read, or holds neither rewards nor a search.
        UsageError: there is no line.
    """
    questions = list(json_objects(path, msgspec.json.Decoder(_Question)))
    if not questions:
        raise UsageError(f"{path} holds no recordings")
    if questions[0][1].steps:
        return SearchTrace(bare_name(path), tuple(_logged(path, line, question) for line, question in questions))
    rewards = [_rewards(path, line, sample) for line, question in questions for sample in question.samples]
    squashed = not all(0.0 <= reward <= 1.0 for steps in rewards for reward in steps)
    problems = (recording.problem for recording in RecordingSet(path))
    recordings = [
        _drawn(path, line, problem, question, squashed)
        for (line, question), problem in zip(questions, problems, strict=True)
    ]
    return SearchTrace(bare_name(path), tuple(recordings), squashed)


def _rewards(path: Path, line: int, sample: _Sample) -> list[float]:
    if not sample.step_rewards and sample.reward is None:
        raise BadRow(path, line, "a sample without 'reward' or 'step_rewards'; name a trace of paths with rewards")
    return sample.step_rewards or [sample.reward or 0.0]


def _drawn(path: Path, line: int, problem: Problem, question: _Question, squashed: bool) -> SearchRecording:
    samples: list[RecordedPath] = []
    found: list[RecordedPath] = []
    for sample in question.samples:
        rewards = _rewards(path, line, sample)
        scaled = tuple(1.0 / (1.0 + exp(-reward)) for reward in rewards) if squashed else tuple(rewards)
        answer = None if sample.answer is None else str(sample.answer)
        (found if sample.run.startswith(_SEARCHES) else samples).append(RecordedPath(answer, sample.tokens, scaled))
    return SearchRecording(problem, tuple(samples), tuple(found[:1]))


def _logged(path: Path, line: int, question: _Question) -> SearchRecording:
    if not question.steps or len(question.final) != len(question.final_correct) or not question.final:
        raise BadRow(path, line, "no search: it needs 'steps', 'final' and 'final_correct'")
    found = tuple(
        RecordedPath(_stated(text), question.api_completion_tokens, _values(path, line, question.steps, text))
        for text in question.final
    )
    right = zip(found, question.final_correct, strict=True)
    verdicts = {path.answer: float(correct) for path, correct in right if path.answer is not None}
    return SearchRecording(Problem(question.id, question.question, verdicts=verdicts), (), found)


def _stated(text: str) -> str | None:
    """An expression, as a path of the game of 24 states it."""
    return text.rpartition(_ANSWER)[2].strip() if _ANSWER in text else None


def _values(path: Path, line: int, levels: list[_Level], text: str) -> tuple[float, ...]:
    """What the search thought of every state on the way to this one: each level's text begins the next one's."""
    values = []
    for level in levels:
        kept = [place for place in level.selected if text.startswith(level.candidates[place])]
        if not kept:
            raise BadRow(path, line, "a path of 'final' that goes through none of the selected candidates")
        values.append(level.values[kept[0]] / _BEST_VALUE)
    return tuple(values)
