"""Judging answers in code by running their tests, many at a time and off the event loop, and only when asked to.

It knows problems and verdicts; how programs are kept in bounds is `sandbox`'s.
"""

import asyncio
import os
from collections.abc import Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from types import TracebackType
from typing import Self

from dynasor.answers.behaviour import Behaviour
from dynasor.datasets.code_tests import CodeTests
from dynasor.datasets.problem import Problem, judge
from dynasor.engines.sandbox.sandbox import Sandbox
from dynasor.engines.sandbox.verdicts import Verdict, behaviour_of, run_tests
from dynasor.errors import UsageError

REMEMBERED = 1 << 14
"""Verdicts, the oldest forgotten first."""


class CodeJudge:
    """A judge that runs what models wrote: 1.0 where all tests pass, else 0.0; other problems as `judge` does.

    A question is asked once: what runs, or has run, is not run again for the same answer and tests. As a function it
    waits; `ahead` starts a judging before its verdict is needed, and `judged` waits without holding up the event loop.

    Args:
        sandbox: where programs run; it is closed with the judge.
        workers: programs at a time; None: one for each core.
    """

    def __init__(self, sandbox: Sandbox | None = None, workers: int | None = None) -> None:
        self._sandbox = sandbox or Sandbox()
        self._threads = ThreadPoolExecutor(workers or os.cpu_count() or 1, thread_name_prefix="code-judge")
        self._lock = Lock()
        self._verdicts: dict[tuple[str, CodeTests], Future[Verdict]] = {}

    def __call__(self, problem: Problem, answer: str | None) -> float | None:
        """Judge, and wait for it. Raises UsageError where the tests cannot be read, EngineError without a worker."""
        plain = judge(problem, answer)
        if plain is not None or problem.tests is None:
            return plain
        return 0.0 if answer is None else float(self.verdict(problem, answer).passed)

    async def judged(self, problem: Problem, answer: str | None) -> float | None:
        """The same for an event loop, which goes on meanwhile."""
        if answer is not None:
            self.ahead(problem, answer)
        return await asyncio.to_thread(self, problem, answer)

    def ahead(self, problem: Problem, answer: str) -> None:
        """Begin to judge an answer that will be asked about."""
        if problem.tests is not None and judge(problem, answer) is None:
            self._begun(answer, problem.tests)

    def verdict(self, problem: Problem, answer: str) -> Verdict:
        """What the tests came to. Raises UsageError where there are none, or they cannot be read."""
        if problem.tests is None:
            raise UsageError(f"problem '{problem.id}' has no tests; read it with the format of a set in code")
        try:
            return self._begun(answer, problem.tests).result()
        except ValueError as fault:
            raise UsageError(f"problem '{problem.id}': {fault}") from fault

    def behaviour(self, problem: Problem) -> Behaviour:
        """What answers to a problem do on the examples that it shows, for a grouping by behaviour."""

        def behaviour(answer: str) -> Hashable | None:
            return None if problem.tests is None else behaviour_of(answer, problem.tests, self._sandbox)

        return behaviour

    async def run(self, behaviour: Behaviour, answer: str) -> Hashable | None:
        """What an answer does, found out by the workers: the event loop goes on meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, behaviour, answer)

    def close(self) -> None:
        """End the workers; what has not begun is not judged."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._sandbox.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begun(self, answer: str, tests: CodeTests) -> Future[Verdict]:
        with self._lock:
            known = self._verdicts.get((answer, tests))
            if known is None:
                known = self._threads.submit(run_tests, answer, tests, self._sandbox)
                self._verdicts[answer, tests] = known
                if len(self._verdicts) > REMEMBERED:
                    del self._verdicts[next(iter(self._verdicts))]
        return known
