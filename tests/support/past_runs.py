"""Runs of any algorithm, journaled by a real batch over an engine that answers by a function."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dynasor.datasets.problem import Problem
from dynasor.errors import EngineError
from dynasor.journal.records import Setting
from dynasor.programs.best_of_n import SCORERS
from dynasor.programs.program import Setup
from dynasor.request import Completion, Finish, Report, Request, RequestId
from dynasor.runtime.batch import Batch, BatchPlan
from dynasor.wiring import algorithm_setting, make_algorithm, make_policy, session_maker
from support.batches import StillClock
from support.search_models import Model


class ScriptedEngine:
    """Answers at once; a request that asks for reports grows by as many tokens a turn, in equal parts of its text.

    After `turns` it is gone.
    """

    def __init__(self, model: Model, turns: int = 1_000_000) -> None:
        self._model, self._turns = model, turns
        self._running: dict[RequestId, tuple[Request, Completion, int]] = {}
        self._ended: list[Completion] = []
        self._reports: list[Report] = []

    async def check(self) -> None:
        pass

    def submit(self, request: Request) -> None:
        self._running[request.id] = (request, self._model(request), 0)

    def cancel(self, id: RequestId) -> None:
        if id in self._running:
            tokens = self._running.pop(id)[2]
            self._ended.append(Completion(id=id, finish=Finish.CANCELLED, tokens=tokens))

    async def ready(self) -> Sequence[Completion]:
        if not self._turns:
            raise EngineError("gone", retryable=True)
        self._turns -= 1
        if not self._ended:
            for running in list(self._running.values()):
                self._grow(*running)
        ended, self._ended = self._ended, []
        return ended

    def take_reports(self) -> list[Report]:
        reports, self._reports = self._reports, []
        return reports

    async def close(self) -> None:
        pass

    def _grow(self, request: Request, whole: Completion, tokens: int) -> None:
        total = whole.tokens or 0
        tokens += request.report_every or total
        if tokens >= total:
            del self._running[request.id]
            self._ended.append(whole)
            return
        self._running[request.id] = (request, whole, tokens)
        text = whole.text[: len(whole.text) * tokens // total]
        self._reports.append(Report(id=request.id, text=text, tokens=tokens, lowest_logprob=whole.lowest_logprob))


PROBLEMS = (Problem("p", "What is 1 + 1?", "2"), Problem("q", "What is 1 + 2?", "3"))


def past(
    directory: Path,
    algorithm: str,
    model: Model,
    policy: str = "even",
    cap: int = 4,
    turns: int = 1_000_000,
    **settings: Setting,
) -> Path:
    """Run two problems, as far as the engine goes; return the run's directory."""
    made, canonical = make_policy(policy)
    setup = Setup(cap=cap, scorer=SCORERS[str(settings.get("scorer", "reward"))])
    asked: dict[str, Setting] = {"algorithm": algorithm_setting(algorithm), "policy": canonical, "cap": cap, **settings}
    session = session_maker(make_algorithm(algorithm), setup, made, in_flight=bool(settings.get("in_flight")))
    plan = BatchPlan(PROBLEMS, session, asked, cap)
    with suppress(EngineError):
        asyncio.run(Batch(plan, ScriptedEngine(model, turns), StillClock(), directory).run())
    return directory


def branch(request: Request) -> Completion:
    """Every third branch is wrong; a probe tells 2, at first hesitatingly."""
    index = request.id.index
    answer = "7" if index % 3 == 2 else "2"
    text = f"so [b]it[/b] \x1b[31mis\x07\nThe answer is {answer}."
    return Completion(
        id=request.id, text=text, tokens=10 + index, reward=0.9 - index / 10, mean_logprob=-0.1 * index,
        lowest_logprob=-0.1 * (index % 4),
    )  # fmt: skip


def chain(request: Request) -> Completion:
    """A long chain; its probes hesitate at first, then tell 2."""
    if request.report_every:
        return Completion(id=request.id, text="Thinking it over. " * 40, tokens=400)
    text = "7} wait" if request.id.index < 3 else "2} \\]"
    return Completion(id=request.id, text=text, tokens=5)
