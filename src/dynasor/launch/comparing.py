"""How the answers of a run are compared: with each other, and with what is right."""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from dynasor.answers.behaviour import ByBehaviour
from dynasor.answers.grouping import ByEquality, ByNormalForm, ByText, Grouping
from dynasor.answers.literals import ByValue
from dynasor.answers.semantic import BySimilarity
from dynasor.answers.symbolic import SymbolicChecker
from dynasor.datasets.problem import Judge, Problem, judge
from dynasor.engines.behaviour_runs import BehaviourRuns
from dynasor.engines.code_judge import CodeJudge
from dynasor.engines.embedding import Embedder
from dynasor.engines.embedding_builtin import BuiltinEmbeddings
from dynasor.engines.embedding_http import HttpEmbeddings
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.engine import Engine
from dynasor.engines.holding import HoldingEngine, Preparation
from dynasor.errors import MissingExtra, UnknownName, UsageError
from dynasor.launch.options import GROUPINGS, RunOptions
from dynasor.programs.program import Setup
from dynasor.request import Completion


@dataclass(frozen=True, slots=True)
class Comparing:
    """What compares answers.

    Attributes:
        grouping: makes the grouping of one program's answers.
        judge: how right an answer is.
        by_problem: makes it where it is another for each problem.
        preparation: what grouping an answer takes, where that must be at hand beforehand.
    """

    grouping: Callable[[], Grouping]
    judge: Judge = judge
    preparation: Preparation | None = None
    by_problem: Callable[[Problem], Grouping] | None = None

    def setup_of(self, problem: Problem, setup: Setup) -> Setup:
        """A problem's setup, with its own grouping where it has one."""
        return setup if self.by_problem is None else replace(setup, grouping=partial(self.by_problem, problem))

    def beside(self, engine: Engine, setup: Setup) -> Engine:
        """An engine whose answers come with all that grouping them takes."""
        if self.preparation is None:
            return engine
        return HoldingEngine(engine, self.preparation, lambda completion: _answer(setup, completion))


def comparing(options: RunOptions, resources: AsyncExitStack) -> Comparing:
    """What the options ask for; what is to be let go of afterwards goes to the resources.

    The spellings in a file of samples were merged when it was made; those in a run of ours are as the model gave them.

    Raises:
        UnknownName: for a grouping that is not known.
        MissingExtra: where a library is missing.
    """
    judging = resources.enter_context(CodeJudge()) if options.judge_code else judge
    match options.grouping:
        case "auto":
            merged = options.trace is not None and not Path(options.trace).is_dir()
            return Comparing(ByText if merged else ByNormalForm, judging)
        case "normal-form" | "text" | "value":
            return Comparing(_PLAIN[options.grouping], judging)
        case "behaviour":
            if not isinstance(judging, CodeJudge):
                raise UsageError("grouping by behaviour runs what the model wrote; say so with --judge-code")
            runs = BehaviourRuns(judging)
            return Comparing(ByNormalForm, judging, runs, lambda problem: ByBehaviour(runs.behaviour(problem)))
        case "semantic":
            embedder = Embedder(_embeddings(options.embedding))
            return Comparing(lambda: BySimilarity(embedder.vector, options.similarity), judging, embedder)
        case "symbolic":
            if find_spec("math_verify") is None:  # found out now, and not at the first pair that needs it
                raise MissingExtra("symbolic equality", "symbolic")
            checker = SymbolicChecker()
            resources.callback(checker.close)
            return Comparing(lambda: ByEquality(checker.same), _symbolic_judge(checker, judging))
        case _:
            raise UnknownName("grouping", options.grouping, GROUPINGS)


_PLAIN: Mapping[str, Callable[[], Grouping]] = {"normal-form": ByNormalForm, "text": ByText, "value": ByValue}


def _answer(setup: Setup, completion: Completion) -> str | None:
    return completion.recorded.answer if completion.recorded is not None else setup.extract(completion.text)


def _embeddings(source: str) -> BuiltinEmbeddings | HttpEmbeddings:
    return BuiltinEmbeddings() if source == "builtin" else HttpEmbeddings(Endpoint(source))


def _symbolic_judge(checker: SymbolicChecker, judging: Judge) -> Judge:
    def judge_symbolically(problem: Problem, answer: str | None) -> float | None:
        plain = judging(problem, answer)
        if plain or plain is None or answer is None or problem.gold is None or problem.verdicts is not None:
            return plain
        return float(checker.same(answer, problem.gold))

    return judge_symbolically
