"""Answers in code are run before they are grouped by what they do."""

from collections.abc import Hashable
from threading import current_thread, main_thread

import pytest

from dynasor.answers.behaviour import Behaviour, ByBehaviour
from dynasor.datasets.code_tests import Inputs
from dynasor.datasets.problem import Problem
from dynasor.engines.behaviour_runs import BehaviourRuns
from dynasor.engines.code_judge import CodeJudge
from dynasor.engines.holding import HoldingEngine
from dynasor.engines.recorded import RecordedEngine
from dynasor.request import ProgramId, Request, RequestId, Sample, Sampling
from support.engine_contract import collect


class Lengths(CodeJudge):
    """What an answer does is its length; who asks, and on which thread, is written down."""

    def __init__(self) -> None:
        super().__init__(workers=2)
        self.asked: list[tuple[str, bool]] = []

    def behaviour(self, problem: Problem) -> Behaviour:
        def behaviour(answer: str) -> Hashable | None:
            self.asked.append((answer, current_thread() is main_thread()))
            return len(answer)

        return behaviour


async def test_answers_are_run_once_and_off_the_event_loop() -> None:
    judge = Lengths()
    runs = BehaviourRuns(judge)
    samples = tuple(Sample(answer, tokens=1) for answer in ("a", "b", "cc", None, "a"))
    engine = HoldingEngine(
        RecordedEngine({"p": samples, "stranger": samples}),
        runs,
        lambda completion: completion.recorded.answer if completion.recorded else None,
    )
    await engine.check()
    grouping = ByBehaviour(runs.behaviour(Problem("p", "?")))
    for program in ("p", "stranger"):
        for index in range(5):
            engine.submit(Request(RequestId(ProgramId(program), index), "?", Sampling()))
    await collect(engine, 10)
    assert sorted(judge.asked) == [("a", False), ("b", False), ("cc", False)]
    groups = [grouping.place(answer).group for answer in ("a", "b", "cc")]
    assert groups == [("behaviour", 1), ("behaviour", 1), ("behaviour", 2)]
    assert len(judge.asked) == 3, "what was found out beforehand is not asked again"
    assert grouping.place("new").group == ("behaviour", 3)
    assert judge.asked[3:] == [("new", True)]
    await engine.close()
    judge.close()


@pytest.mark.slow
async def test_in_the_real_sandbox() -> None:
    problem = Problem("p", "?", tests=Inputs("def f(x):\n    return [x]", "f", "[1]"))
    answers = ("f(1)", "f((1))", "f(2)")
    with CodeJudge(workers=2) as judge:
        runs = BehaviourRuns(judge)
        samples = tuple(Sample(answer, tokens=1) for answer in answers)
        engine = HoldingEngine(
            RecordedEngine({"p": samples}), runs, lambda each: each.recorded.answer if each.recorded else None
        )
        behaviour = runs.behaviour(problem)
        for index in range(3):
            engine.submit(Request(RequestId(ProgramId("p"), index), "?", Sampling()))
        await collect(engine, 3)
        assert behaviour("f(1)") == behaviour("f((1))") != behaviour("f(2)")
        await engine.close()
