"""A durable batch: every problem once, everything journaled, resumed where it was left.

Problems are streamed, and what has finished is let go of: memory holds what is in flight, and the ids of the rest.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dynasor.clock import Clock
from dynasor.datasets.problem import Judge, Problem, judge
from dynasor.engines.engine import Engine
from dynasor.errors import EngineError, UsageError
from dynasor.journal.journal import JOURNAL, JournalWriter
from dynasor.journal.records import Landed, ProgramFinished, Record, RunStarted, Setting
from dynasor.programs.program import Program
from dynasor.programs.session import Outcome, Session
from dynasor.request import ProgramId
from dynasor.runtime.dispatcher import BranchGrew, BranchLanded, Dispatcher, Event, Limits, ProgramEnded, ProgramStalled
from dynasor.runtime.group_sync import GroupSync
from dynasor.runtime.resume import ResumePoint, Witness, resume_point, unseen
from dynasor.runtime.tally import RunTally

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
    """One run over a set of problems, in one directory. Nothing is read or written before `run`.

    Attributes:
        tally: the result so far, that of earlier parts of a resumed run included.
        stalled: programs that the engine let down, or refused every branch of, and why; a resume tries them again.
        began: whether the journal is this process's to write; else another's run is there, or one unlike this.
        complete: whether every problem was come to, and every program that was started has answered.
        resumed_count: programs that had answered before.
        observe: called after every turn, for a display.
        witness: told of every record of the journal in order, those of earlier parts of a resumed run included.
    """

    def __init__(self, plan: BatchPlan, engine: Engine, clock: Clock, directory: Path) -> None:
        self._plan = plan
        self._clock = clock
        self._directory = directory
        self._dispatcher = Dispatcher(engine, clock, plan.limits)
        self._point = ResumePoint()
        self._stalls_in_a_row = 0
        self._exhausted = False
        self.began = False
        self.resumed_count = 0
        self.stalled: dict[ProgramId, str] = {}
        self.observe: Callable[[], None] = lambda: None
        self.witness: Witness = unseen

    @property
    def tally(self) -> RunTally:
        """The result so far."""
        return self._point.tally

    @property
    def request_count(self) -> int:
        """Requests in flight or waiting."""
        return self._dispatcher.request_count

    @property
    def running(self) -> Collection[Session]:
        """The sessions that have started and not ended, the oldest first; a view, to be looked at only."""
        return self._dispatcher.sessions

    @property
    def interrupted(self) -> bool:
        """Whether the run was asked to stop before its end."""
        return self._dispatcher.draining

    @property
    def complete(self) -> bool:
        """Whether nothing is left for a resume."""
        return self._exhausted and not self.stalled and not self._dispatcher.program_count

    def interrupt(self) -> None:
        """Start nothing more; `run` returns once what is in flight has landed."""
        self._dispatcher.drain()

    async def run(self) -> RunTally:
        """Run to the end, or to an interruption, and return the result so far.

        Raises:
            SettingsDiffer: if the directory holds a run under other settings.
            UsageError: if another process is at it, or no run can be kept there.
            EngineError: if the engine lets program after program down; what landed is journaled.
            JournalError: if the journal cannot be written.
        """
        with JournalWriter(_made(self._directory) / JOURNAL) as journal:
            self._point = resume_point(journal.path, self._plan.settings, self.witness)
            self.resumed_count = self._point.tally.finished
            self.began = True
            if not self._point.begun:
                started = RunStarted(settings=self._plan.settings, circumstances=self._plan.circumstances)
                self._append(journal, started)
            sync = GroupSync(journal)
            try:
                await self._turn_until_idle(journal, sync)
            finally:
                self._record(journal, self._dispatcher.take_events())
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
            self._record(journal, await self._dispatcher.step())
            self._give_up_on_a_dead_engine()
            self.observe()
            turn += 1
            if turn % TURNS_PER_BREATH == 0:
                await self._clock.sleep(0)

    def _admit(self, problems: Iterator[Problem]) -> None:
        while self._dispatcher.has_room:
            problem = next(problems, None)
            if problem is None:
                self._exhausted = True
                return
            self._dispatcher.start(self._plan.session(problem), self._point.happened.pop(problem.id, ()))

    def _record(self, journal: JournalWriter, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case BranchGrew(_, report):
                    self._append(journal, self._point.growth.record(report))
                case BranchLanded(program, completion):
                    self._point.growth.forget(completion.id)
                    answer = program.answer_of(completion) if completion.finish.is_whole else None
                    self._append(journal, Landed(answer=answer, completion=completion))
                case ProgramEnded(program, outcome) if outcome.failed_count and not program.branches:
                    self._stall(program.id, outcome.fault or "no reason given")
                case ProgramEnded(program, outcome):
                    self._stalls_in_a_row = 0
                    record = self._finished(program, outcome)
                    self._append(journal, record)
                    self.tally.add(record)
                case ProgramStalled(program, fault):
                    self._stall(program.id, fault)

    def _append(self, journal: JournalWriter, record: Record) -> None:
        journal.append(record)
        self.witness(record)

    def _stall(self, program: ProgramId, fault: str) -> None:
        self.stalled[program] = fault
        self._stalls_in_a_row += 1

    def _give_up_on_a_dead_engine(self) -> None:
        if self._stalls_in_a_row >= STALLS_IN_A_ROW:
            fault = list(self.stalled.values())[-1]
            told = f"{self._stalls_in_a_row} programs failed in a row, the last with: {fault}"
            raise EngineError(f"{told}. Once that is mended, the same command goes on", retryable=True)

    def _finished(self, program: Program, outcome: Outcome) -> ProgramFinished:
        plan, problem = self._plan, program.problem
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
            even_tokens=(
                plan.even_tokens(problem.id) if plan.even_tokens else program.even_tokens(outcome.failed_count)
            ),
            even_recorded=plan.even_tokens is not None,
            cut_tokens=outcome.cut_tokens,
            cut_count=outcome.cut_count,
            failed_count=outcome.failed_count,
            unknown_count=outcome.unknown_count,
            latency_s=outcome.finished_at - outcome.started_at,
            verdicts=dict(problem.verdicts) if problem.verdicts is not None else None,
        )


def _made(directory: Path) -> Path:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise UsageError(f"cannot keep a run in {directory}: {fault.strerror}; choose another --out") from fault
    return directory
