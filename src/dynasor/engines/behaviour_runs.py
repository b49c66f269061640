"""What answers in code do, found out before they are grouped by it: off the event loop, many at a time.

It knows programs by their ids only, and nothing of how answers are grouped.
"""

import asyncio
from collections.abc import Hashable, Sequence
from weakref import WeakValueDictionary

from dynasor.answers.behaviour import Behaviour
from dynasor.datasets.problem import Problem
from dynasor.engines.code_judge import CodeJudge
from dynasor.engines.holding import Answered
from dynasor.request import ProgramId


class Remembered:
    """A behaviour that is asked for once per answer."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.known: dict[str, Hashable | None] = {}

    def __call__(self, answer: str) -> Hashable | None:
        """As found out before; else it is found out now, and waited for."""
        if answer not in self.known:
            self.known[answer] = self.behaviour(answer)
        return self.known[answer]


class BehaviourRuns:
    """Runs answers in the sandbox of a judge. Implements `dynasor.engines.holding.Preparation`.

    What the answers of a program do is forgotten with its grouping.
    """

    def __init__(self, judge: CodeJudge) -> None:
        self._judge = judge
        self._of: WeakValueDictionary[ProgramId, Remembered] = WeakValueDictionary()

    def behaviour(self, problem: Problem) -> Behaviour:
        """What answers to a problem do, for the grouping of the program that has its id."""
        remembered = Remembered(self._judge.behaviour(problem))
        self._of[ProgramId(problem.id)] = remembered
        return remembered

    async def check(self) -> None:
        """Nothing can be told before a program is run."""

    async def prepare(self, answers: Sequence[Answered]) -> None:
        """Run those whose program groups by behaviour and has not run them before."""
        await asyncio.gather(*(self._run(*answer) for answer in dict.fromkeys(answers)))

    async def close(self) -> None:
        """The sandbox is the judge's, which may still be asked for verdicts."""

    async def _run(self, program: ProgramId, answer: str) -> None:
        remembered = self._of.get(program)
        if remembered is not None and answer not in remembered.known:
            remembered.known[answer] = await self._judge.run(remembered.behaviour, answer)
