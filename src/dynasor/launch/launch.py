"""Options to a run that is ready to go: everything is checked before the first request, and nothing is written."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
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
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.errors import EngineError, MissingExtra, UnknownName, UsageError
from dynasor.launch.fingerprint import policy_name
from dynasor.launch.options import GROUPINGS, RunOptions
from dynasor.launch.settings import circumstances_of, directory_name, settings_of
from dynasor.launch.sources import Source, live_source, recorded_source
from dynasor.programs.best_of_n import SCORERS
from dynasor.programs.program import Program, Setup
from dynasor.programs.prompt import PromptTemplate
from dynasor.runtime.batch import Batch, BatchPlan
from dynasor.runtime.outputs import write_outputs
from dynasor.runtime.tally import RunTally
from dynasor.wiring import check_cap, check_decided, default_policy, make_algorithm, make_policy, session_maker


@dataclass(slots=True)
class Launch:
    """A run that is ready to go.

    Attributes:
        problem_count: how many problems it has, earlier parts of a resumed run included.
        resources: what is let go of when it has run: the engine, and what compares answers.
    """

    batch: Batch
    directory: Path
    problem_count: int
    resources: AsyncExitStack

    async def run(self) -> RunTally:
        """Run to the end or an interruption; whatever has finished by then is written out."""
        try:
            async with self.resources:
                return await self.batch.run()
        finally:
            if self.batch.began:
                write_outputs(self.directory, self.batch.tally)


def run(**options: Any) -> RunTally:
    """Run a batch from Python; see `RunOptions` for what it takes.

    >>> tally = run(trace="svamp", policy="static:threshold=0.7,detect_at=5", cap=30, limit=100)  # doctest: +SKIP

    Raises:
        UsageError: for whatever cannot be, and where an event loop runs already: await `arun` there.
        EngineError: if problems are left unfinished, once what has finished is written out.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(arun(**options))
    raise UsageError("an event loop runs already, as it does in a notebook; there, write: await dynasor.arun(...)")


async def arun(**options: Any) -> RunTally:
    """The same as `run`, for notebooks and servers.

    Raises:
        UsageError: for whatever cannot be.
        EngineError: if problems are left unfinished, once what has finished is written out.
    """
    launch = await prepare(RunOptions(**options))
    tally = await launch.run()
    if stalled := launch.batch.stalled:
        fault = next(iter(stalled.values()))
        raise EngineError(
            f"{len(stalled)} of {launch.problem_count} problems are unfinished ({fault}); the rest is in"
            f" {launch.directory}, and the same call goes on from there",
            retryable=True,
        )
    return tally


async def prepare(options: RunOptions) -> Launch:
    """Check everything that can be checked before the first request, and write nothing.

    Raises:
        UsageError: for whatever cannot be; the message names it and the mend.
    """
    algorithm = make_algorithm(options.algorithm)
    policy, named = _policy(options.policy, algorithm)
    check_cap(policy, named, options.cap)
    check_decided(policy, algorithm, _called(options.algorithm))
    async with AsyncExitStack() as resources:
        grouping, judging, close = _grouping(options)
        resources.callback(close)
        setup = _setup(options, grouping)
        settings = settings_of(options, algorithm, named)
        source = (recorded_source if options.trace else live_source)(options, algorithm)
        resources.push_async_callback(source.engine.close)
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
        directory = options.out or Path("runs") / directory_name(source.name, named, options)
        batch = Batch(plan, source.engine, WallClock(), directory)
        return Launch(batch, directory, source.count, resources.pop_all())


async def _check(source: Source) -> None:
    await source.engine.check()
    if isinstance(source.engine, OpenAIEngine):
        source.settings["model"] = source.engine.model


def _policy(policy: object, algorithm: type[Program]) -> tuple[Policy, str]:
    if policy is None:
        policy = default_policy(algorithm)
    if isinstance(policy, str):
        return make_policy(policy)
    if not callable(policy) or isinstance(policy, type):
        raise UsageError(f"the policy is {policy!r}; give a specification, or a function from a Progress to a Grant")
    return policy, policy_name(policy)


def _called(algorithm: str | type[Program]) -> str:
    return algorithm if isinstance(algorithm, str) else algorithm.__qualname__


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
