"""The study of algorithms: which arms are still to be run on which engine, and what all of them come to.

It knows no engine: whoever starts it hands in what runs an arm. An arm that is done is not run again, and one that was
interrupted goes on, for each is an ordinary durable run.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Self

from dynasor.bench.algorithm_arms import Arm
from dynasor.bench.algorithm_journals import Journals
from dynasor.bench.algorithm_points import Point, points, read_log
from dynasor.bench.algorithm_rows import AlgorithmRow, algorithm_rows
from dynasor.datasets.problem_sets import problem_set
from dynasor.errors import UnknownName, UsageError

PROBLEMS = "words"


@dataclass(frozen=True, slots=True)
class AlgorithmPlan:
    """What is to be run.

    Attributes:
        arms: by engine.
        problems: the first so many of the built-in set.
    """

    arms: Mapping[str, Sequence[Arm]]
    problems: int
    seed: int
    journals: Journals

    @property
    def ids(self) -> list[str]:
        """The problems, by id."""
        return [problem.id for problem in problem_set(PROBLEMS, limit=self.problems)]

    def only(self, names: Sequence[str]) -> Self:
        """The same without other arms than these.

        Raises:
            UnknownName: no engine has an arm of that name.
        """
        known = {arm.name for arms in self.arms.values() for arm in arms}
        for name in names:
            if name not in known:
                raise UnknownName("arm", name, sorted(known))
        return replace(self, arms={e: [arm for arm in arms if arm.name in names] for e, arms in self.arms.items()})


def pending(plan: AlgorithmPlan, engine: str) -> list[Arm]:
    """The arms of an engine that have problems left.

    Raises:
        UsageError: one was made with another seed.
    """
    ids = plan.ids
    return [arm for arm in plan.arms[engine] if not plan.journals.has_finished(engine, arm.name, ids, plan.seed)]


def expected_s(arms: Iterable[Arm], problems: int, tokens_per_s: float) -> float:
    """How long arms will take on an engine that gives so many tokens a second of plain branches."""
    return sum(arm.tokens * arm.cost for arm in arms) * problems / tokens_per_s if tokens_per_s else inf


def summed_up(plan: AlgorithmPlan) -> list[AlgorithmRow]:
    """The rows of all engines, from the journals of the arms that are done; those are packed.

    Raises:
        UsageError: none is done.
    """
    ids, rows = plan.ids, list[AlgorithmRow]()
    for engine, arms in plan.arms.items():
        left = pending(plan, engine)
        rows += algorithm_rows(engine, _points(plan, engine, [arm for arm in arms if arm not in left], ids))
    if not rows:
        raise UsageError(f"no run in {plan.journals.directory} has answered all problems yet; run them first")
    return rows


def _points(plan: AlgorithmPlan, engine: str, arms: Iterable[Arm], ids: Sequence[str]) -> list[Point]:
    found: list[Point] = []
    for arm in arms:
        found += points(arm, read_log(plan.journals.journal(engine, arm.name)), ids)
        plan.journals.pack(engine, arm.name)
    return found
