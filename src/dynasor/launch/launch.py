"""Options to a run that is ready to go: everything is checked before the first request, and nothing is written."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynasor.allocation.baselines import Even
from dynasor.allocation.progress import Policy
from dynasor.answers.extract import EXTRACTORS
from dynasor.answers.grouping import Grouping
from dynasor.certaindex.signal import SIGNALS
from dynasor.clock import WallClock
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.engines.replicas import ReplicatedEngine
from dynasor.errors import EngineError, UnknownName, UsageError
from dynasor.launch.comparing import comparing
from dynasor.launch.deadlines import check_deadline, deadlines
from dynasor.launch.fingerprint import policy_name
from dynasor.launch.measures import reads_rewards
from dynasor.launch.options import RunOptions
from dynasor.launch.oversight import BUDGET, check_oversight, oversight
from dynasor.launch.settings import circumstances_of, directory_name, settings_of
from dynasor.launch.sources import live_source, recorded_source, rewarded
from dynasor.programs.best_of_n import SCORERS
from dynasor.programs.program import Program, Setup
from dynasor.programs.prompt import PromptTemplate
from dynasor.runtime.batch import Batch, BatchPlan
from dynasor.runtime.outputs import write_outputs
from dynasor.runtime.tally import RunTally
from dynasor.wiring import (
    check_cap,
    check_decided,
    check_promise,
    default_policy,
    make_algorithm,
    make_policy,
    make_scheduler,
    session_of,
)


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
    check_oversight(options, algorithm)
    make_scheduler(options.ordering)
    check_deadline(options, algorithm)
    check_promise(options.policy, in_flight=options.in_flight)
    policy, named = _policy(options, algorithm)
    check_cap(policy, named, options.cap)
    check_decided(policy, algorithm, _called(options.algorithm))
    async with AsyncExitStack() as resources:
        answers = comparing(options, resources)
        setup = _setup(options, algorithm, answers.grouping)
        settings = settings_of(options, algorithm, named)
        source = (recorded_source if options.trace else live_source)(options, algorithm)
        looked_over = oversight(options, policy, source.count)
        overload, due = deadlines(options)
        allocator = due(looked_over.allocator)
        engine = answers.beside(rewarded(source.engine, options), setup)
        resources.push_async_callback(engine.close)
        await engine.check()
        if isinstance(source.engine, OpenAIEngine | ReplicatedEngine):
            source.settings["model"] = source.engine.model
        plan = BatchPlan(
            problems=source.problems,
            session=lambda problem: session_of(algorithm, answers.setup_of(problem, setup), allocator)(problem),
            settings=source.settings | settings | looked_over.settings,
            cap=options.cap,
            circumstances=circumstances_of(options),
            even_tokens=source.even_tokens,
            judge=answers.judge,
            limits=source.limits,
            overseer=looked_over.overseer,
            scheduler=lambda: make_scheduler("fcfs" if options.trace else options.ordering)[0],
            data_set=source.name,
            deadline_s=options.deadline_s,
            overload=overload,
        )
        directory = options.out or Path("runs") / directory_name(source.name, named, options)
        batch = Batch(plan, engine, WallClock(), directory)
        return Launch(batch, directory, source.count, resources.pop_all())


def _policy(options: RunOptions, algorithm: type[Program]) -> tuple[Policy, str]:
    policy: object = options.policy
    if options.token_budget is not None:
        return Even(), BUDGET  # nobody asks it: each program has a share
    if policy is None:
        policy = default_policy(algorithm, options.cap)
    if isinstance(policy, str):
        return make_policy(policy)
    if not callable(policy) or isinstance(policy, type):
        raise UsageError(f"the policy is {policy!r}; give a specification, or a function from a Progress to a Grant")
    return policy, policy_name(policy)


def _called(algorithm: str | type[Program]) -> str:
    return algorithm if isinstance(algorithm, str) else algorithm.__qualname__


def _setup(options: RunOptions, algorithm: type[Program], grouping: Callable[[], Grouping]) -> Setup:
    chat = options.endpoint is None or options.endpoint.api != "completions"
    return Setup(
        cap=options.cap,
        prompt=PromptTemplate(options.prompt, options.system, chat),
        sampling=options.sampling,
        extract=_named("extractor", options.extract, EXTRACTORS),
        grouping=grouping,
        signal=_named("signal", options.signal, SIGNALS),
        scorer=_named("scorer", options.scorer, SCORERS),
        scored=reads_rewards(options, algorithm),
        seed=options.seed,
        seeded_requests=options.seeded_requests,
    )


def _named(kind: str, name: str, known: Mapping[str, Any]) -> Any:
    if name not in known:
        raise UnknownName(kind, name, known)
    return known[name]
