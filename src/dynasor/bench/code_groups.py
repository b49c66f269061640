"""Which answers in code are the same: ways to group them, side by side on recordings of real models.

Each way is one grouping in the ordinary program: self-consistency, which answers by majority, under even allocation and
under a policy that stops where certaindex is high (paper 6.1: for code, 0.4 at 5).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import fmean

import msgspec

from dynasor.allocation.allocator import InRounds
from dynasor.allocation.baselines import Even
from dynasor.allocation.progress import Policy
from dynasor.allocation.threshold import StaticThreshold
from dynasor.answers.behaviour import ByBehaviour
from dynasor.answers.code import normal_code
from dynasor.answers.grouping import ByNormalForm, ByText, Grouping, Placement
from dynasor.answers.literals import ByValue
from dynasor.answers.voting import Ballot
from dynasor.datasets.problem import Problem, Recording, judge
from dynasor.datasets.tables import json_objects
from dynasor.engines.code_judge import CodeJudge
from dynasor.engines.recorded import RecordedEngine
from dynasor.errors import UsageError
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.session import Outcome, Session
from dynasor.request import Sample
from dynasor.runtime.drive import drive

GroupingOf = Callable[[Recording], Callable[[], Grouping]]
"""A recording -> what makes a grouping for one program on it; what is costly may be kept between them."""

PAPER = StaticThreshold(threshold=0.4, detect_at=5)


class ByCode:
    """Programs are the same where their code is, but for layout and comments."""

    def place(self, answer: str) -> Placement:
        """The normal code is the group."""
        return Placement(normal_code(answer))


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One way to group; all are means over problems, and over orders of their samples.

    Attributes:
        groups: among all samples of a problem.
        accuracy: of the majority at the cap.
        certaindex: at the policy's detection step.
        stopped: the share of programs that the policy stopped there.
        saved: the share of the tokens at the cap that it did not take.
        policy_accuracy: of the majority where it stopped.
    """

    name: str
    problems: int
    groups: float
    accuracy: float
    certaindex: float
    stopped: float
    saved: float
    policy_accuracy: float


class _TracedSample(msgspec.Struct):
    answer: str | None
    tokens: int
    correct: bool
    text: str | None = None


class _TracedQuestion(msgspec.Struct):
    id: str
    samples: list[_TracedSample]


def code_recordings(trace: Path, problems: Mapping[str, Problem], samples: int | None = None) -> Iterator[Recording]:
    """The recordings of a trace whose answers are programs or literals, with the tests of its problems.

    A sample's answer is its program, where the trace holds programs, and else the recorded answer.

    Args:
        trace: the file.
        problems: by id.
        samples: take so many of each problem's; None: all.

    Raises:
        UsageError: where a question is none of the problems.
    """
    for _, question in json_objects(trace, msgspec.json.Decoder(_TracedQuestion)):
        if question.id not in problems:
            raise UsageError(
                f"{trace} asks '{question.id}', which is none of the problems; name the set it was made of"
            )
        traced = question.samples[:samples]
        answers = [sample.text or sample.answer for sample in traced]
        verdicts = {a: float(s.correct) for a, s in zip(answers, traced, strict=True) if a is not None}
        problem = msgspec.structs.replace(problems[question.id], verdicts=verdicts)
        drawn = tuple(Sample(answer, sample.tokens) for answer, sample in zip(answers, traced, strict=True))
        yield Recording(problem, drawn)


def groupings(judge: CodeJudge | None = None, semantic: Callable[[], Grouping] | None = None) -> dict[str, GroupingOf]:
    """The ways to group, by name: those that run nothing, and those that are handed in."""
    ways: dict[str, GroupingOf] = {
        "text": lambda recording: ByText,
        "normal form": lambda recording: ByNormalForm,
        "code": lambda recording: ByCode,
        "value": lambda recording: ByValue,
    }
    if judge is not None:
        ways["behaviour"] = lambda recording: _by_behaviour(judge, recording.problem)
    if semantic is not None:
        ways["semantic"] = lambda recording: semantic
    return ways


def compare_groups(
    recordings: Sequence[Recording],
    ways: Mapping[str, GroupingOf],
    *,
    cap: int,
    orders: int,
    policy: StaticThreshold = PAPER,
) -> list[GroupRow]:
    """Every way on every problem, under `orders` orders of its samples."""
    samples = {recording.problem.id: recording.samples for recording in recordings}
    engines = [RecordedEngine(samples, seed=seed) for seed in range(orders)]
    return [_row(name, recordings, of, engines, cap, policy) for name, of in ways.items()]


def _by_behaviour(judge: CodeJudge, problem: Problem) -> Callable[[], Grouping]:
    behaviour = lru_cache(maxsize=None)(judge.behaviour(problem))
    return lambda: ByBehaviour(behaviour)


def _row(
    name: str,
    recordings: Sequence[Recording],
    of: GroupingOf,
    engines: Sequence[RecordedEngine],
    cap: int,
    policy: StaticThreshold,
) -> GroupRow:
    groups: list[int] = []
    even: list[float] = []
    early: list[float] = []
    certain: list[float] = []
    stopped: list[bool] = []
    tokens, spent = 0, 0
    for recording in recordings:
        grouping = of(recording)
        groups.append(_group_count(recording, grouping()))
        for engine in engines:
            whole = _outcome(recording, grouping, engine, Even(), cap)
            cut = _outcome(recording, grouping, engine, policy, cap)
            first = _outcome(recording, grouping, engine, Even(), policy.detect_at)
            even.append(judge(recording.problem, whole.answer) or 0.0)
            early.append(judge(recording.problem, cut.answer) or 0.0)
            certain.append(first.certaindex)
            stopped.append(cut.knob < cap)
            tokens, spent = tokens + whole.tokens, spent + cut.tokens
    return GroupRow(
        name=name,
        problems=len(recordings),
        groups=fmean(groups),
        accuracy=fmean(even),
        certaindex=fmean(certain),
        stopped=fmean(stopped),
        saved=1 - spent / tokens,
        policy_accuracy=fmean(early),
    )


def _outcome(
    recording: Recording, grouping: Callable[[], Grouping], engine: RecordedEngine, policy: Policy, cap: int
) -> Outcome:
    program = SelfConsistency(recording.problem, Setup(cap=cap, grouping=grouping))
    return drive(Session(program, InRounds(policy)), engine)


def _group_count(recording: Recording, grouping: Grouping) -> int:
    ballot = Ballot(grouping)
    for branch, sample in enumerate(recording.samples):
        ballot.cast(branch, sample.answer)
    return ballot.votes().groups
