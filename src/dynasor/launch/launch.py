"""Options to a run that is ready to go: everything is checked before the first request, and nothing is written."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dynasor.allocation.progress import Policy
from dynasor.answers.extract import EXTRACTORS
from dynasor.answers.grouping import ByEquality, ByNormalForm, ByText, Grouping
from dynasor.answers.symbolic import SymbolicChecker
from dynasor.certaindex.signal import SIGNALS
from dynasor.clock import WallClock
from dynasor.datasets.problem import Judge, Problem, judge
from dynasor.engines.engine import Engine
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.errors import MissingExtra, UnknownName
from dynasor.launch.options import GROUPINGS, RunOptions
from dynasor.launch.settings import circumstances_of, directory_name, settings_of
from dynasor.launch.sources import Source, live_source, recorded_source
from dynasor.programs.best_of_n import SCORERS
from dynasor.programs.program import Setup
from dynasor.programs.prompt import PromptTemplate
from dynasor.runtime.batch import Batch, BatchPlan
from dynasor.runtime.outputs import write_outputs
from dynasor.runtime.tally import RunTally
from dynasor.wiring import check_cap, make_algorithm, make_policy, session_maker


@dataclass(slots=True)
class Launch:
    """A run that is ready to go.

    Attributes:
        problem_count: how many problems it has, earlier parts of a resumed run included.
    """

    batch: Batch
    engine: Engine
    directory: Path
    problem_count: int
    _close: Callable[[], None] = field(default=lambda: None)

    async def run(self) -> RunTally:
        """Run to the end or an interruption; whatever has finished by then is written out."""
        try:
            return await self.batch.run()
        finally:
            await self.engine.close()
            self._close()
            if self.batch.tally.finished:
                write_outputs(self.directory, self.batch.tally)


def run(**options: Any) -> RunTally:
    """Run a batch from Python; see `RunOptions` for what it takes.

    >>> tally = run(trace="svamp", policy="static:threshold=0.7,detect_at=5", cap=30, limit=100)  # doctest: +SKIP
    """

    async def whole() -> RunTally:
        return await (await prepare(RunOptions(**options))).run()

    return asyncio.run(whole())


async def prepare(options: RunOptions) -> Launch:
    """Check everything that can be checked before the first request, and write nothing.

    Raises:
        UsageError: for whatever cannot be; the message names it and the mend.
    """
    policy, policy_name = _policy(options.policy)
    check_cap(policy, policy_name, options.cap)
    algorithm = make_algorithm(options.algorithm) if isinstance(options.algorithm, str) else options.algorithm
    grouping, judging, close = _grouping(options)
    setup = _setup(options, grouping)
    settings = settings_of(options, policy_name)
    source = recorded_source(options) if options.trace else live_source(options)
    await _check(source)
    plan = BatchPlan(
        problems=source.problems,
        session=session_maker(algorithm, setup, policy, in_flight=options.in_flight),
        settings=source.settings | settings,
        cap=options.cap,
        circumstances=circumstances_of(options),
        even_tokens=source.even_tokens,
        judge=judging,
        limits=source.limits,
    )
    directory = options.out or Path("runs") / directory_name(source.name, policy_name, options)
    return Launch(Batch(plan, source.engine, WallClock(), directory), source.engine, directory, source.count, close)


async def _check(source: Source) -> None:
    """Check the engine, which is closed again where it cannot work."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(source.engine.close)
        await source.engine.check()
        stack.pop_all()
    if isinstance(source.engine, OpenAIEngine):
        source.settings["model"] = source.engine.model


def _policy(policy: str | Policy) -> tuple[Policy, str]:
    return make_policy(policy) if isinstance(policy, str) else (policy, repr(policy))


def _setup(options: RunOptions, grouping: Callable[[], Grouping]) -> Setup:
    chat = options.endpoint is None or options.endpoint.api != "completions"
    return Setup(
        cap=options.cap,
        prompt=PromptTemplate(options.prompt, options.system, chat),
        sampling=options.sampling,
        extract=_named("extractor", options.extract, EXTRACTORS),
        grouping=grouping,
        signal=_named("signal", options.signal, SIGNALS),
        scorer=_named("scorer", options.scorer, SCORERS),
        seed=options.seed,
        seeded_requests=options.seeded_requests,
    )


def _grouping(options: RunOptions) -> tuple[Callable[[], Grouping], Judge, Callable[[], None]]:
    """How answers are grouped, how they are judged, and how what does so is let go of.

    The spellings in a file of samples were merged when it was made; those in a run of ours are as the model gave them.
    """
    match options.grouping:
        case "auto":
            merged = options.trace is not None and not Path(options.trace).is_dir()
            return (ByText if merged else ByNormalForm), judge, lambda: None
        case "normal-form":
            return ByNormalForm, judge, lambda: None
        case "text":
            return ByText, judge, lambda: None
        case "symbolic":
            if find_spec("math_verify") is None:  # found out now, and not at the first pair that needs it
                raise MissingExtra("symbolic equality", "symbolic")
            checker = SymbolicChecker()
            return lambda: ByEquality(checker.same), _symbolic_judge(checker), checker.close
        case _:
            raise UnknownName("grouping", options.grouping, GROUPINGS)


def _symbolic_judge(checker: SymbolicChecker) -> Judge:
    def judge_symbolically(problem: Problem, answer: str | None) -> float | None:
        plain = judge(problem, answer)
        if plain or plain is None or answer is None or problem.gold is None or problem.verdicts is not None:
            return plain
        return float(checker.same(answer, problem.gold))

    return judge_symbolically


def _named(kind: str, name: str, known: Mapping[str, Any]) -> Any:
    if name not in known:
        raise UnknownName(kind, name, known)
    return known[name]
