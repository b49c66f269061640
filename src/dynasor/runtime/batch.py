"""A durable batch: every problem once, everything journaled, resumed where it was left.

Problems are streamed, and what has finished is let go of: memory holds what is in flight, and the ids of the rest.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dynasor.clock import Clock
from dynasor.datasets.problem import Judge, Problem, judge
from dynasor.engines.engine import Engine
from dynasor.errors import EngineError
from dynasor.journal.journal import JournalWriter
from dynasor.journal.records import Landed, ProgramFinished, RunStarted, Setting
from dynasor.programs.session import Outcome, Session
from dynasor.request import Finish, ProgramId
from dynasor.runtime.dispatcher import BranchLanded, Dispatcher, Event, Limits, ProgramEnded, ProgramStalled
from dynasor.runtime.group_sync import GroupSync
from dynasor.runtime.resume import resume_point
from dynasor.runtime.tally import RunTally

JOURNAL = "journal.jsonl"
STALLS_IN_A_ROW = 20  # programs let down one after the other: the server is gone, and asking on is of no use
TURNS_PER_BREATH = 64  # an engine that never waits must not keep signals from being heard


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """What a batch runs.

    Attributes:
        problems: streamed once; their ids are unique.
        session: makes the session of a problem.
        settings: whatever changes an answer; a resume under other settings is refused.
        circumstances: whatever does not, for the record.
        even_tokens: what even allocation takes for a problem, where a recording knows; else it is estimated.
        cap: the resource cap, for that estimate.
        judge: how right an answer is.
    """

    problems: Iterable[Problem]
    session: Callable[[Problem], Session]
    settings: dict[str, Setting]
    cap: int
    circumstances: dict[str, Setting] = field(default_factory=dict)
    even_tokens: Callable[[str], float] | None = None
    judge: Judge = judge
    limits: Limits = Limits()  # noqa: RUF009  (frozen)


class Batch:
    """One run over a set of problems, in one directory.

    Attributes:
        tally: the result so far, that of earlier parts of a resumed run included.
        stalled: programs that the engine let down, and why; a resume goes on with them.
        observe: called after every turn, for a display.

    Raises:
        SettingsDiffer: if the directory holds a run under other settings.
    """

    def __init__(self, plan: BatchPlan, engine: Engine, clock: Clock, directory: Path) -> None:
        self._plan = plan
        self._clock = clock
        self._directory = directory
        self._dispatcher = Dispatcher(engine, clock, plan.limits)
        self._point = resume_point(directory / JOURNAL, plan.settings)
        self._stalls_in_a_row = 0
        self.resumed_count = self._point.tally.finished
        self.stalled: dict[ProgramId, str] = {}
        self.observe: Callable[[], None] = lambda: None

    @property
    def tally(self) -> RunTally:
        """The result so far."""
        return self._point.tally

    @property
    def request_count(self) -> int:
        """Requests in flight or waiting."""
        return self._dispatcher.request_count

    @property
    def interrupted(self) -> bool:
        """Whether the run was asked to stop before its end."""
        return self._dispatcher.draining

    def interrupt(self) -> None:
        """Start nothing more; `run` returns once what is in flight has landed."""
        self._dispatcher.drain()

    async def run(self) -> RunTally:
        """Run to the end, or to an interruption, and return the result so far.

        Raises:
            EngineError: if the engine lets program after program down; what landed is journaled.
            JournalError: if the journal cannot be written.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        with JournalWriter(self._directory / JOURNAL) as journal:
            if not self._point.begun:
                journal.append(RunStarted(settings=self._plan.settings, circumstances=self._plan.circumstances))
            sync = GroupSync(journal)
            try:
                await self._turn_until_idle(journal, sync)
            finally:
                await sync.finish()
        return self.tally

    async def _turn_until_idle(self, journal: JournalWriter, sync: GroupSync) -> None:
        unfinished = (problem for problem in self._plan.problems if problem.id not in self._point.finished)
        turn = 0
        while True:
            self._admit(unfinished)
            journal.flush()
            sync.kick()
            if self._dispatcher.idle:
                return
            for event in await self._dispatcher.step():
                self._record(journal, event)
            self.observe()
            turn += 1
            if turn % TURNS_PER_BREATH == 0:
                await self._clock.sleep(0)

    def _admit(self, problems: Iterator[Problem]) -> None:
        while self._dispatcher.has_room:
            problem = next(problems, None)
            if problem is None:
                return
            self._dispatcher.start(self._plan.session(problem), self._point.landed.pop(problem.id, ()))

    def _record(self, journal: JournalWriter, event: Event) -> None:
        match event:
            case BranchLanded(program, completion):
                answer = None if completion.finish in _SILENT else program.answer_of(completion)
                journal.append(Landed(answer=answer, completion=completion))
            case ProgramEnded(program, outcome):
                self._stalls_in_a_row = 0
                record = self._finished(program.problem, outcome, program.evidence.tokens, program.evidence.finished)
                journal.append(record)
                self.tally.add(record)
            case ProgramStalled(program, fault):
                self.stalled[program.id] = fault
                self._stalls_in_a_row += 1
                if self._stalls_in_a_row >= STALLS_IN_A_ROW:
                    told = f"{STALLS_IN_A_ROW} programs failed in a row, the last with: {fault}"
                    raise EngineError(f"{told}. Once that is mended, the same command goes on", retryable=True)

    def _finished(self, problem: Problem, outcome: Outcome, branch_tokens: int, branches: int) -> ProgramFinished:
        plan = self._plan
        estimate = plan.cap * branch_tokens / branches if branches else float(outcome.tokens)
        return ProgramFinished(
            program=problem.id,
            question=problem.question,
            gold=problem.gold,
            answer=outcome.answer,
            correct=plan.judge(problem, outcome.answer),
            certaindex=outcome.certaindex,
            knob=outcome.knob,
            tokens=outcome.tokens,
            stopped_by=outcome.stopped_by,
            even_tokens=plan.even_tokens(problem.id) if plan.even_tokens else estimate,
            even_recorded=plan.even_tokens is not None,
            cut_tokens=outcome.cut_tokens,
            cut_count=outcome.cut_count,
            failed_count=outcome.failed_count,
            latency_s=outcome.finished_at - outcome.started_at,
        )


_SILENT = frozenset({Finish.CANCELLED, Finish.FAILED})  # nothing to read an answer from
