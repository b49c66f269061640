"""Where reports, interruptions, let-downs and errors meet in one turn of the dispatcher and of a batch."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from dynasor.allocation.allocator import InRounds
from dynasor.allocation.baselines import Even
from dynasor.answers.grouping import ByText
from dynasor.datasets.problem import Problem
from dynasor.engines.engine import Queueing
from dynasor.engines.holding import Answered, HoldingEngine
from dynasor.engines.recorded import RecordedEngine
from dynasor.engines.rewarding import RewardedEngine
from dynasor.journal.journal import read_journal
from dynasor.journal.records import Landed
from dynasor.programs.program import Program, Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.session import Session
from dynasor.programs.steps import Execution
from dynasor.request import Completion, Finish, ProgramId, Report, Request, RequestId
from dynasor.runtime.batch import Batch
from dynasor.runtime.dispatcher import Dispatcher
from dynasor.runtime.events import BranchGrew, BranchLanded, ProgramEnded
from dynasor.runtime.growth import Growth
from dynasor.runtime.in_flight import Limits
from support.batches import StillClock, plan_of, samples_of
from support.reward_models import LengthReward
from support.scenario import ScriptedProgram
from support.scripted import ScriptedEngine, session_of

A = ProgramId("a")
FIRST, SECOND = RequestId(A, 0), RequestId(A, 1)


class CutsTheOthers(Program):
    """Streams two requests, and cuts both once the first has grown or ended."""

    def execute(self) -> Execution:
        yield self.claim()
        streams = [self.request(), self.request()]
        yield self.stream(streams)
        yield self.growth(streams[:1])
        yield self.cut(streams)
        return "done"


def streaming() -> Session:
    problem = Problem(A, "which?", None)
    return Session(CutsTheOthers(problem, Setup(cap=2, grouping=ByText, extract=str)), InRounds(Even()))


async def to_end(dispatcher: Dispatcher) -> list[object]:
    events: list[object] = []
    while not dispatcher.idle:
        events += await dispatcher.step()
    return events


async def test_a_report_that_comes_with_the_completion_still_goes_on_from_before_the_interruption() -> None:
    engine = ScriptedEngine(lambda request: 4)
    dispatcher = Dispatcher(engine, engine, Limits(2, 10))
    program = ScriptedProgram(A, 0.0, (1,), 4)
    dispatcher.start(session_of(program), [Report(id=FIRST, text="before ", tokens=10)])
    engine.pass_to(3.0)
    engine.report(FIRST)
    engine.pass_to(4.0)
    events = await to_end(dispatcher)
    (grew,) = (event.report for event in events if isinstance(event, BranchGrew))
    assert (grew.text, grew.tokens) == ("before 777", 13)
    (landed,) = (event.completion for event in events if isinstance(event, BranchLanded))
    assert (landed.text, landed.tokens) == ("before 7", 14)


async def test_what_had_begun_before_an_interruption_is_paid_for_where_it_is_cut_before_it_goes_on() -> None:
    engine = ScriptedEngine(lambda request: 4)
    dispatcher = Dispatcher(engine, engine, Limits(1, 10))
    dispatcher.start(streaming(), [Report(id=SECOND, text="begun ", tokens=30)])
    events = await to_end(dispatcher)
    (cut,) = (e.completion for e in events if isinstance(e, BranchLanded) and e.completion.id == SECOND)
    assert (cut.finish, cut.text, cut.tokens) == (Finish.CANCELLED, "begun ", 30)
    (ended,) = (event.outcome for event in events if isinstance(event, ProgramEnded))
    assert (ended.tokens, ended.cut_tokens) == (34, 30)


class Observing(Program):
    """A user's program, with a fault in what it does at a report."""

    def execute(self) -> Execution:
        yield self.claim()
        yield self.gang(2)
        return "never"

    def observe(self, report: Report) -> bool:
        raise ZeroDivisionError


async def test_what_landed_in_a_turn_in_which_a_program_raised_is_told_all_the_same() -> None:
    engine = ScriptedEngine(lambda request: 4)
    dispatcher = Dispatcher(engine, engine, Limits(2, 10))
    setup = Setup(cap=2, grouping=ByText, extract=str)
    dispatcher.start(Session(Observing(Problem(A, "which?", None), setup), InRounds(Even())))
    engine.pass_to(3.0)
    engine.report(FIRST)
    engine.pass_to(4.0)
    with pytest.raises(ZeroDivisionError):
        await dispatcher.step()
    landed = [e.completion.id for e in dispatcher.take_events() if isinstance(e, BranchLanded)]
    assert landed == [FIRST, SECOND]


class Gone(ScriptedEngine):
    """A server that fails whatever it is asked; after 40 s somebody asks for an end, in the midst of a pause."""

    def __init__(self) -> None:
        super().__init__(lambda request: 4)
        self.dispatcher = Dispatcher(self, self, Limits(2, 10, outage_s=1e6))
        self.asked_at = 0.0

    def submit(self, request: Request) -> None:
        super().submit(request)
        self.end(request.id, Finish.FAILED, retryable=True)

    async def sleep(self, duration_s: float) -> None:
        if self.now() > 40.0 and not self.dispatcher.draining:
            self.asked_at = self.now()
            self.dispatcher.drain()
        await super().sleep(duration_s)


async def test_who_asks_for_an_end_in_an_outage_does_not_wait_for_its_pause() -> None:
    engine = Gone()
    engine.dispatcher.start(session_of(ScriptedProgram(A, 0.0, (2,), 4)))
    await to_end(engine.dispatcher)
    assert engine.asked_at > 40.0
    assert engine.now() - engine.asked_at <= 0.5, "where the pauses are of 16 s"


class Misreading(SelfConsistency):
    """A user's program, with a fault in how it reads the second branch of the first problem."""

    def answer_of(self, completion: Completion) -> str | None:
        if completion.id == ("p0", 1):
            raise ZeroDivisionError
        return "a"


async def test_what_landed_behind_the_event_that_ended_a_run_is_written(tmp_path: Path) -> None:
    def session(problem: Problem) -> Session:
        return Session(Misreading(problem, Setup(cap=6, grouping=ByText)), InRounds(Even()))

    batch = Batch(plan_of(4, session=session), RecordedEngine(samples_of(4)), StillClock(), tmp_path)
    with pytest.raises(ZeroDivisionError):
        await batch.run()
    landed = [r.completion.id for r in read_journal(tmp_path / "journal.jsonl") if isinstance(r, Landed)]
    assert landed[4:] == [("p1", 1), ("p2", 1), ("p3", 1)]


class TellsItsQueue(ScriptedEngine):
    """An engine with requests that wait behind it."""

    queued_count = 3


class Nothing:
    """What grouping takes is at hand."""

    async def check(self) -> None:
        pass

    async def prepare(self, answers: Sequence[Answered]) -> None:
        pass

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(("inner", "count"), [(TellsItsQueue, 3), (ScriptedEngine, None)])
def test_the_queue_of_an_engine_is_seen_through_what_stands_before_it(
    inner: type[ScriptedEngine], count: int | None
) -> None:
    engine = inner(lambda request: 4)
    held = HoldingEngine(RewardedEngine(engine, LengthReward()), Nothing(), lambda completion: None)
    assert isinstance(held, Queueing)
    assert held.queued_count == count


def test_programs_that_are_left_for_a_resume_leave_no_texts_behind() -> None:
    growth = Growth()
    for id in (FIRST, SECOND, RequestId(ProgramId("b"), 0)):
        growth.record(Report(id=id, text="so far", tokens=2))
    growth.leave(A)
    assert growth.record(Report(id=FIRST, text="so far", tokens=2)).at == 0
    assert growth.record(Report(id=RequestId(ProgramId("b"), 0), text="so far on", tokens=3)).at == len("so far")
