"""A problem, a recording of a model's answers to it, and the judge of an answer.

These values know nothing of where they were read from.
"""

from collections.abc import Callable, Mapping

import msgspec

from dynasor.answers.equivalence import normal_form
from dynasor.datasets.code_tests import CodeTests, Values
from dynasor.request import Sample


class Problem(msgspec.Struct, frozen=True):
    """One item of a data set.

    Attributes:
        id: unique within its set.
        question: the text put into the prompt.
        gold: the right answer, or None where it is not known.
        verdicts: for recorded problems, how right each recorded answer is: the share, in [0, 1], of its samples that
            were judged right when it was recorded. It is then the judge, in place of `gold`.
        tests: for problems in code, what an answer is tested by.
    """

    id: str
    question: str
    gold: str | None = None
    verdicts: Mapping[str, float] | None = None
    tests: CodeTests | None = None


class Recording(msgspec.Struct, frozen=True):
    """The samples that one model drew for one problem, in exchangeable order.

    Attributes:
        failed_count: branches that were asked for too, and failed: there is no sample of them.
    """

    problem: Problem
    samples: tuple[Sample, ...]
    failed_count: int = 0


Judge = Callable[[Problem, str | None], float | None]
"""(problem, answer) -> how right the answer is, in [0, 1]; None where nobody can tell."""


def judge(problem: Problem, answer: str | None) -> float | None:
    """Judge by the recorded verdicts where there are some, else by equality with the right answer.

    A program can be judged only by running it, which nobody does unless asked to (see `engines.code_judge`).
    """
    if problem.verdicts is not None:
        return 0.0 if answer is None else problem.verdicts.get(answer, 0.0)
    if isinstance(problem.tests, Values):
        return float(answer is not None and problem.tests.passed_by(answer))
    if problem.gold is None:
        return None
    return float(answer is not None and normal_form(answer) == normal_form(problem.gold))
