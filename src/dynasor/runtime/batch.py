"""A durable batch: every problem once, everything journaled, resumed where it was left.

Problems are streamed, and what has finished is let go of: memory holds what is in flight, and the ids of the rest.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from dynasor.allocation.overload import Overload
from dynasor.clock import Clock
from dynasor.datasets.problem import Judge, Problem, judge
from dynasor.engines.engine import Engine
from dynasor.errors import EngineError, UsageError
from dynasor.journal.journal import JOURNAL, JournalWriter
from dynasor.journal.records import Alarmed, Landed, ProgramFinished, Record, RunStarted, Setting
from dynasor.programs.program import Program
from dynasor.programs.session import Outcome, Session
from dynasor.request import ProgramId
from dynasor.runtime.dispatcher import Dispatcher
from dynasor.runtime.events import BranchGrew, BranchLanded, Event, ProgramEnded, ProgramStalled
from dynasor.runtime.group_sync import GroupSync
from dynasor.runtime.in_flight import Limits
from dynasor.runtime.overseer import Overseer, Unattended
from dynasor.runtime.resume import ResumePoint, Witness, resume_point, unseen
from dynasor.runtime.tally import RunTally
from dynasor.scheduling.fcfs import Fcfs
from dynasor.scheduling.scheduler import Scheduler

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
        overseer: who looks over all programs.
        scheduler: makes the order of what waits.
        data_set: where the problems come from: lengths are estimated by algorithm and data set.
        deadline_s: seconds from a program's start to the instant at which its answer is due, for orderings that ask.
        overload: what the allocators of programs that have a deadline ask; it is kept informed.
    """

    problems: Iterable[Problem]
    session: Callable[[Problem], Session]
    settings: dict[str, Setting]
    cap: int
    circumstances: dict[str, Setting] = field(default_factory=dict)
    even_tokens: Callable[[str], float] | None = None
    judge: Judge = judge
    limits: Limits = Limits()  # noqa: RUF009  (frozen)
    overseer: Overseer = field(default_factory=Unattended)
    scheduler: Callable[[], Scheduler] = lambda: Scheduler(Fcfs())
    data_set: str = ""
    deadline_s: float | None = None
    overload: Overload | None = None


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
        self._dispatcher = Dispatcher(engine, clock, plan.limits, plan.scheduler(), plan.overload)
        self._point = ResumePoint()
        self._stalls_in_a_row = 0
        self._untold: deque[Event] = deque()
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
    def _promise(self) -> str | None:
        promise = self._plan.settings.get("promise")
        return None if promise is None else str(promise)

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
            self._point = resume_point(journal.path, self._plan.settings, self._recall)
            self.tally.promise = self._promise
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
        unfinished = self._unfinished(journal)
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

    def _recall(self, record: Record) -> None:
        self._plan.overseer.recall(record)
        self.witness(record)

    def _unfinished(self, journal: JournalWriter) -> Iterator[Problem]:
        for problem in self._plan.problems:
            self._write(journal, self._plan.overseer.come_to(problem.id))
            if problem.id not in self._point.finished:
                yield problem

    def _admit(self, problems: Iterator[Problem]) -> None:
        while self._dispatcher.has_room:
            problem = next(problems, None)
            if problem is None:
                self._exhausted = True
                return
            session, happened = self._plan.session(problem), self._point.happened.pop(problem.id, ())
            due_s = self._plan.deadline_s
            deadline = None if due_s is None else self._clock.now() + due_s
            self._dispatcher.start(session, happened, data_set=self._plan.data_set, deadline=deadline)

    def _record(self, journal: JournalWriter, events: Iterable[Event]) -> None:
        """Write what has happened; also what came behind an event at which a user's program or a judge raised."""
        self._untold += events
        try:
            while self._untold:
                self._tell(journal, self._untold.popleft())
        finally:
            if self._untold:
                self._record(journal, ())

    def _tell(self, journal: JournalWriter, event: Event) -> None:
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
                judged = partial(self._plan.judge, program.problem)
                self._write(journal, self._plan.overseer.finished(record, judged))
            case ProgramStalled(program, fault):
                self._stall(program.id, fault)

    def _write(self, journal: JournalWriter, records: Iterable[Record]) -> None:
        for record in records:
            self._append(journal, record)
            if isinstance(record, ProgramFinished):
                self.tally.add(record)
            elif isinstance(record, Alarmed):
                self.tally.alarm = record

    def _append(self, journal: JournalWriter, record: Record) -> None:
        journal.append(record)
        self.witness(record)

    def _stall(self, program: ProgramId, fault: str) -> None:
        self._plan.overseer.stalled(program)
        self._point.growth.leave(program)
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
