"""Programs that come one by one: submitted, followed, withdrawn, let down; over a scripted engine that waits."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from dynasor.allocation.allocator import InRounds
from dynasor.allocation.baselines import Even
from dynasor.answers.grouping import ByText
from dynasor.clock import WallClock
from dynasor.datasets.problem import Problem
from dynasor.engines.outbox import Outbox
from dynasor.errors import EngineError, ProgramError, UsageError
from dynasor.programs.probed import ProbedSelfConsistency
from dynasor.programs.program import Program, Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.steps import Execution
from dynasor.request import Completion, Finish, ProgramId, Report, Request, RequestId
from dynasor.runtime.contained import ContainedSession
from dynasor.runtime.events import BranchGrew, BranchLanded, ProgramEnded, ProgramStalled, ProgramStarted
from dynasor.runtime.in_flight import Limits
from dynasor.runtime.service import Service
from dynasor.runtime.ticket import Ticket


class HandEngine:
    """Requests run until the test ends them."""

    def __init__(self) -> None:
        self.running: dict[RequestId, Request] = {}
        self.cancelled: list[RequestId] = []
        self._outbox = Outbox()
        self.broken = False

    async def check(self) -> None:
        pass

    def submit(self, request: Request) -> None:
        self.running[request.id] = request

    def cancel(self, id: RequestId) -> None:
        self.cancelled.append(id)
        self.end(id, Finish.CANCELLED, tokens=2)

    async def ready(self) -> Sequence[Completion]:
        ended = await self._outbox.ready()
        if self.broken:
            raise RuntimeError("the engine has a bug")
        return ended

    def take_reports(self) -> list[Report]:
        return self._outbox.take_reports()

    async def close(self) -> None:
        pass

    def end(self, id: RequestId, finish: Finish = Finish.STOP, *, tokens: int = 3, text: str = "7") -> None:
        if self.running.pop(id, None) is not None:
            failed = finish is Finish.FAILED
            error = "503 busy" if failed else None
            self._outbox.put(Completion(id=id, text=text, finish=finish, tokens=tokens, error=error, retryable=failed))

    def end_all(self) -> None:
        for id in list(self.running):
            self.end(id)

    def report(self, id: RequestId, text: str) -> None:
        self._outbox.report(Report(id=id, text=text, tokens=len(text)))


class Broken(Program):
    """Raises what its question names, at the start, or when its first branch has landed."""

    def execute(self) -> Execution:
        if self.problem.question == "start":
            raise ZeroDivisionError("at the start")
        yield self.claim()
        yield self.gang(2)
        raise ProgramError("it must not")


def session(id: str, cap: int = 2, kind: type[Program] = SelfConsistency, question: str = "") -> ContainedSession:
    program = kind(Problem(id, question), Setup(cap=cap, grouping=ByText))
    return ContainedSession(program, InRounds(Even()))


@pytest.fixture
def engine() -> HandEngine:
    return HandEngine()


@pytest.fixture
async def service(engine: HandEngine) -> AsyncIterator[Service]:
    service = Service(engine, WallClock(), Limits(requests=4, programs=3))
    yield service
    if not engine.broken:
        await service.close()
    assert service.program_count == service.request_count == 0
    assert engine.running == {}


async def passing(ticket: Ticket) -> None:
    async with asyncio.timeout(60):
        await ticket.gone()


async def test_programs_come_and_end(service: Service, engine: HandEngine) -> None:
    first = service.submit(session("a"))
    assert [id.program for id in engine.running] == ["a", "a"]
    second = service.submit(session("b"))
    engine.end_all()
    assert (await first.outcome()).answer == "7"
    assert (await second.outcome()).tokens == second.tokens == 6
    later = service.submit(session("c", cap=1))
    engine.end_all()
    assert (await later.outcome()).knob == 1, "it works again after it was idle"


async def test_listeners_hear_of_everything(service: Service, engine: HandEngine) -> None:
    heard: list[object] = []
    service.listeners.append(heard.append)
    ticket = service.submit(session("a", cap=1))
    engine.report(RequestId(ProgramId("a"), 0), "no")
    engine.end_all()
    await passing(ticket)
    assert [type(event) for event in heard] == [ProgramStarted, BranchGrew, BranchLanded, ProgramEnded]


async def test_a_follower_sees_each_end_and_of_reports_the_latest(service: Service, engine: HandEngine) -> None:
    ticket = service.submit(session("a"))
    one, other = engine.running
    for text in ("x", "xy", "xyz"):
        engine.report(one, text)
    engine.end(other)
    await until(lambda: other in ticket.completions)
    engine.end(one)
    await passing(ticket)
    steps = [step async for step in ticket.follow()]
    assert [step.completion.id for step in steps if isinstance(step, BranchLanded)] == [other, one]
    assert [step for step in steps if isinstance(step, BranchGrew)] == [], "they have ended since"


async def test_a_follower_that_waits_is_told_at_once(service: Service, engine: HandEngine) -> None:
    ticket = service.submit(session("a", cap=1))
    steps = ticket.follow()
    following = asyncio.ensure_future(anext(steps))
    (one,) = engine.running
    engine.report(one, "xy")
    step = await following
    assert isinstance(step, BranchGrew)
    assert step.report.text == "xy"
    engine.end(one)
    assert isinstance(await anext(steps), BranchLanded)
    with pytest.raises(StopAsyncIteration):
        await anext(steps)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await WallClock().sleep(0.001)


async def test_withdrawing_cuts_what_runs_in_the_same_turn(service: Service, engine: HandEngine) -> None:
    heard: list[object] = []
    service.listeners.append(heard.append)
    ticket, other = service.submit(session("a", cap=9)), service.submit(session("b", cap=1))
    assert len(engine.running) == 4
    service.withdraw(ProgramId("a"))
    assert {id.program for id in engine.running} <= {ProgramId("b")}
    assert not ticket.has_ended, "its cut requests have still to tell what they cost"
    await passing(ticket)
    assert ticket.tokens == 4 * 2
    with pytest.raises(EngineError, match="withdrawn") as fault:
        await ticket.outcome()
    assert not fault.value.retryable
    assert isinstance(heard[-1], ProgramStalled)
    engine.end_all()
    assert (await other.outcome()).answer == "7"
    service.withdraw(ProgramId("a"))
    service.withdraw(ProgramId("nobody"))


async def test_a_program_that_waits_for_room_can_be_withdrawn(service: Service, engine: HandEngine) -> None:
    tickets = [service.submit(session(id, cap=1)) for id in "abcd"]
    assert service.waiting_count == 1
    service.withdraw(ProgramId("d"))
    assert tickets[3].has_ended
    with pytest.raises(EngineError, match="withdrawn"):
        await tickets[3].outcome()
    assert tickets[3].tokens == 0
    waiting = service.submit(session("e", cap=1))
    engine.end_all()
    await passing(tickets[0])
    engine.end_all()
    await passing(waiting)


async def test_an_engine_that_lets_down_is_a_fault_for_the_waiter_alone(service: Service, engine: HandEngine) -> None:
    ticket, other = service.submit(session("a")), service.submit(session("b"))
    one = next(iter(engine.running))
    engine.end(one, Finish.FAILED)
    engine.end_all()
    with pytest.raises(EngineError, match="503 busy") as fault:
        await ticket.outcome()
    assert fault.value.retryable
    assert (await other.outcome()).answer == "7"


@pytest.mark.parametrize(
    ("question", "told"), [("start", "Broken failed: ZeroDivisionError: at the start"), ("", "it must not")]
)
async def test_a_program_that_breaks_harms_no_other(
    service: Service, engine: HandEngine, question: str, told: str
) -> None:
    ticket, other = service.submit(session("a", 5, Broken, question)), service.submit(session("b"))
    engine.end_all()
    with pytest.raises(ProgramError, match=told):
        await ticket.outcome()
    assert (await other.outcome()).answer == "7"


async def test_after_a_fault_of_the_service_nobody_waits_for_ever(engine: HandEngine) -> None:
    service = Service(engine, WallClock(), Limits(requests=4, programs=1))
    ticket, waiting = service.submit(session("a")), service.submit(session("b"))
    engine.broken = True
    engine.end_all()
    for each in (ticket, waiting):
        with pytest.raises(EngineError, match="fault in the service itself: RuntimeError: the engine has a bug"):
            await each.outcome()
    with pytest.raises(EngineError, match="closing"):
        service.submit(session("c"))


async def test_closing_waits_and_then_cuts(service: Service, engine: HandEngine) -> None:
    quick, slow = service.submit(session("a")), service.submit(session("b"))
    closing = asyncio.ensure_future(service.close(0.02))
    await asyncio.wait([closing], timeout=0)
    with pytest.raises(EngineError, match="closing"):
        service.submit(session("c"))
    for id in [id for id in engine.running if id.program == "a"]:
        engine.end(id)
    await closing
    assert (await quick.outcome()).answer == "7"
    with pytest.raises(EngineError, match="withdrawn"):
        await slow.outcome()


async def test_two_programs_of_one_id_cannot_run(service: Service) -> None:
    service.submit(session("a"))
    with pytest.raises(UsageError, match="a program with the id 'a' runs already"):
        service.submit(session("a"))


async def test_streams_leave_half_of_the_places(engine: HandEngine) -> None:
    class TwoChains(ProbedSelfConsistency):
        settings = ProbedSelfConsistency.settings.__class__(chains=2)

    service = Service(engine, WallClock(), Limits(requests=4, programs=9))
    first, second = service.submit(session("a", 4, TwoChains)), service.submit(session("b", 4, TwoChains))
    beside = service.submit(session("c", 1))
    assert service.waiting_count == 1, "the second one's chains would leave no room for probes"
    assert {id.program for id in engine.running} == {"a", "c"}
    engine.end_all()
    await passing(beside)
    await until(lambda: first.has_ended or bool(engine.running))
    while not (first.has_ended and second.has_ended):
        engine.end_all()
        await asyncio.wait([asyncio.ensure_future(WallClock().sleep(0.001))])
    with pytest.raises(UsageError, match=r"5 streams of a program .* need 10 places, and there are 4"):
        service.submit(session("d", 4, ProbedSelfConsistency))
    await service.close()


async def test_what_was_kept_for_an_outage_is_forgotten_with_its_program(engine: HandEngine) -> None:
    service = Service(engine, WallClock(), Limits(requests=4, programs=1, outage_s=1e6))
    ticket = service.submit(session("a", cap=1))
    (one,) = engine.running
    engine.end(one, Finish.FAILED)
    await until(lambda: bool(service._dispatcher._written_off))
    service.withdraw(ProgramId("a"))
    assert ticket.has_ended, "nothing of it is at the engine"
    assert not service._dispatcher._written_off
    assert not service._dispatcher._outage._since
    await service.close()
