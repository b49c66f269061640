"""The dispatcher in front of a scripted engine: order, estimates, limits, drains and failures."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from dynasor.allocation.allocator import InRounds
from dynasor.allocation.baselines import Even
from dynasor.allocation.threshold import SteppedThreshold
from dynasor.answers.grouping import ByText
from dynasor.datasets.problem import Problem
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.session import Session
from dynasor.request import Completion, Finish, ProgramId, RequestId, Sampling
from dynasor.runtime.dispatcher import Dispatcher
from dynasor.runtime.events import BranchLanded, ProgramEnded, ProgramStalled
from dynasor.runtime.in_flight import Limits
from dynasor.scheduling.aging import Aging
from dynasor.scheduling.deadline import EarliestDeadline
from dynasor.scheduling.estimate import History
from dynasor.scheduling.fcfs import Fcfs
from dynasor.scheduling.gang import Gang
from dynasor.scheduling.ordering import Ordering, Place
from dynasor.scheduling.scheduler import Scheduler
from dynasor.scheduling.sjf import Sjf
from dynasor.scheduling.table import ProgramTable, Row
from dynasor.scheduling.waiting import Waiting
from support.scenario import DEFAULT_TOKENS, FIG_7, GANG_SJF, Scenario, ScriptedProgram
from support.scripted import Gangs, ScriptedEngine, play, session_of
from support.timed_engine import TimedEngine, VirtualClock

A, B = ProgramId("a"), ProgramId("b")


def made(ordering: Ordering, slots: int, tokens: dict[str, int]) -> tuple[Dispatcher, ScriptedEngine, Scheduler]:
    engine = ScriptedEngine(lambda request: tokens[request.id.program])
    scheduler = Scheduler(ordering, ProgramTable(History(default_tokens=DEFAULT_TOKENS)))
    return Dispatcher(engine, engine, Limits(slots, 1000), scheduler), engine, scheduler


async def played(scenario: Scenario, ordering: Ordering) -> tuple[list[RequestId], dict[str, float]]:
    tokens = {program.id: program.tokens for program in scenario.programs}
    dispatcher, engine, _ = made(ordering, scenario.slots, {str(id): count for id, count in tokens.items()})
    _, ended = await play(dispatcher, engine, scenario.programs)
    return engine.started, ended


@pytest.mark.parametrize("scenario", [FIG_7, GANG_SJF])
async def test_the_scenario_of_all_hosts(scenario: Scenario) -> None:
    assert await played(scenario, Gang(Sjf())) == (list(scenario.order), scenario.ends_at)


@dataclass(frozen=True)
class InTurns:
    """A request of each program, then the next of each: the sequential scheduling of Fig. 7."""

    def place(self, program: Row, request: Waiting, now: float) -> Place:
        return Place((program.in_flight, program.rank))


@pytest.mark.parametrize(("ordering", "mean"), [(Gang(), 6.5), (Gang(Sjf()), 6.5), (Fcfs(), 6.5), (InTurns(), 9.0)])
async def test_fig_7_one_program_at_a_time_takes_6_5_instead_of_9(ordering: Ordering, mean: float) -> None:
    dispatcher, engine, _ = made(ordering, 2, {"before": 1, "one": 4, "two": 5})
    before = ScriptedProgram(ProgramId("before"), 0.0, (2,), 1)  # so that both wait when the places come free
    _, ended = await play(dispatcher, engine, (before, *FIG_7.programs))
    assert (ended["one"] + ended["two"]) / 2 - ended["before"] == mean


async def test_what_a_program_needs_yet_is_told_at_every_landing() -> None:
    dispatcher, engine, scheduler = made(Sjf(), 2, {"a": 4})
    dispatcher.start(session_of(ScriptedProgram(A, 0.0, (2, 2), 4)))
    row = scheduler.table[A]
    assert (row.knob, row.remaining_knob, row.waiting, row.in_flight) == (0, 4.0, 0, 2), "even grants the cap at once"
    await dispatcher.step()
    assert (row.knob, row.remaining_knob, row.attained_tokens, row.in_flight) == (2, 2.0, 8, 2)
    assert row.remaining_tokens == 8.0, "two branches of the four tokens that its own took"
    assert engine.running[RequestId(A, 2)][0].remaining_tokens == 8, "and the request says so"
    await dispatcher.step()
    assert A not in scheduler.table
    assert scheduler.table.history.branch_tokens(row.kind) == 4.0
    assert row.kind.algorithm == "Gangs"


async def test_a_policy_that_may_stop_makes_a_program_shorter_the_surer_it_is() -> None:
    """Of 12, five are granted; at a certaindex of 0, all seven others are expected, and at 1 none."""
    dispatcher, engine, scheduler = made(Sjf(), 64, {"a": 4})
    problem = Problem(A, "which?", None)
    program = SelfConsistency(problem, Setup(cap=12, grouping=ByText, extract=str))
    dispatcher.start(Session(program, InRounds(SteppedThreshold(threshold=1.0, detect_at=5, step=2))))
    row = scheduler.table[A]
    assert (row.knob, row.remaining_knob) == (0, 12.0)
    program.certaindex = 0.5
    engine.report(RequestId(A, 0))
    await dispatcher.step()
    assert row.remaining_knob == 5 + 0.5 * 7


async def test_how_far_a_program_went_tells_what_the_next_of_its_kind_needs() -> None:
    dispatcher, _, scheduler = made(Sjf(), 5, {"a": 10, "b": 10})
    stepped = InRounds(SteppedThreshold(threshold=1.0, detect_at=5, step=2))
    dispatcher.start(Session(Gangs(Problem(A, "5", None), Setup(cap=12, grouping=ByText)), stepped))
    assert scheduler.table[A].remaining_tokens == 12 * DEFAULT_TOKENS, "nobody has ended yet"
    while not dispatcher.idle:
        await dispatcher.step()
    dispatcher.start(Session(Gangs(Problem(B, "5", None), Setup(cap=12, grouping=ByText)), stepped))
    assert scheduler.table[B].remaining_tokens == 5 * 10, "the first was granted five, and turned no more"


async def test_tokens_count_as_they_are_reported_and_once() -> None:
    dispatcher, engine, scheduler = made(Sjf(), 2, {"a": 10})
    dispatcher.start(session_of(ScriptedProgram(A, 0.0, (2,), 10)))
    row = scheduler.table[A]
    for instant in (3.0, 7.0):
        engine.pass_to(instant)
        engine.report(RequestId(A, 0))
        await dispatcher.step()
        assert (row.attained_tokens, row.unfinished_tokens) == (instant, instant)
    engine.cancel(RequestId(A, 1))
    await dispatcher.step()
    assert (row.attained_tokens, row.unfinished_tokens) == (14, 7)
    await dispatcher.step()
    assert (row.attained_tokens, row.landed_tokens) == (17, 10), "the cut one counts as spent, and not as a length"


async def test_a_drain_starts_nothing_more_and_loses_nothing_that_runs() -> None:
    dispatcher, engine, scheduler = made(Sjf(), 2, {"a": 4, "b": 4})
    for id in (A, B):
        dispatcher.start(session_of(ScriptedProgram(id, 0.0, (3,), 4)))
    dispatcher.drain()
    events = [event for _ in range(2) for event in await dispatcher.step()]
    assert [type(event) for event in events] == [BranchLanded, BranchLanded]
    assert dispatcher.idle
    assert (dispatcher.request_count, dispatcher.program_count) == (0, 2)
    assert not dispatcher.has_room
    assert scheduler.waiting_count == 0
    assert len(engine.started) == 2


async def test_a_program_that_is_let_down_keeps_its_place_free_for_others() -> None:
    dispatcher, engine, scheduler = made(Gang(Sjf()), 2, {"a": 4, "b": 4})
    for id in (A, B):
        dispatcher.start(session_of(ScriptedProgram(id, 0.0, (3,), 4)))
    engine.end(RequestId(A, 1), Finish.FAILED, retryable=True)
    events = await dispatcher.step()
    assert engine.started == [(A, 0), (A, 1), (B, 0)], "the third of the program that stalled is not started"
    assert events == []
    while not dispatcher.idle:
        events += await dispatcher.step()
    ended = [(type(event), event.program.id) for event in events if not isinstance(event, BranchLanded)]
    assert ended == [(ProgramStalled, A), (ProgramEnded, B)]
    assert len(scheduler.table) == 0


async def test_deadlines_are_told_to_the_orderings_that_ask() -> None:
    dispatcher, engine, _ = made(EarliestDeadline(), 1, {"a": 4, "b": 4, "c": 4})
    for id, deadline in (("c", None), (A, 90.0), (B, 20.0)):
        dispatcher.start(session_of(ScriptedProgram(ProgramId(id), 0.0, (1,), 4)), deadline=deadline)
    while not dispatcher.idle:
        await dispatcher.step()
    assert [id.program for id in engine.started] == ["c", B, A], "the first was alone"


async def test_nobody_starves_while_short_programs_never_cease() -> None:
    """The bound that Aging states: from d on, only those start before it that had arrived before d."""
    patience, speed = 3.0, 10.0
    dispatcher, engine, _ = made(
        Aging(Gang(Sjf()), patience, speed), 1, {"long": 10} | {f"s{n}": 2 for n in range(200)}
    )
    first = ScriptedProgram(ProgramId("s0"), 0.0, (1,), 2)
    long = ScriptedProgram(ProgramId("long"), 0.0, (4,), 10)
    shorts = [ScriptedProgram(ProgramId(f"s{n}"), n * 1.5, (1,), 2) for n in range(1, 200)]
    _, ended = await play(dispatcher, engine, (first, long, *shorts))
    aged_at = patience * 4 * DEFAULT_TOKENS / speed
    began = engine.started.index(RequestId(ProgramId("long"), 0))
    before = [int(id.program[1:]) for id in engine.started[:began]]
    assert all(n * 1.5 < aged_at for n in before), "only those that came before it had aged"
    assert ended["long"] <= aged_at + 2 * len([n for n in range(200) if n * 1.5 < aged_at]) + 40
    unaged, engine, _ = made(Gang(Sjf()), 1, {"long": 10} | {f"s{n}": 2 for n in range(200)})
    _, ended = await play(unaged, engine, (first, long, *shorts))
    assert ended["long"] == max(ended.values()), "without aging it is the last"


class Restarted(ScriptedEngine):
    """A server that is killed in the midst of its work, and is back after a while."""

    def __init__(self, killed_at: float, back_at: float) -> None:
        super().__init__(lambda request: 4)
        self.killed_at, self.back_at, self.asked_in_vain = killed_at, back_at, 0

    async def ready(self) -> Sequence[Completion]:
        end = self.next_end
        if end is not None and self.now() < self.back_at and end >= self.killed_at:
            self.pass_to(max(self.now(), self.killed_at))
            for id in list(self.running):
                self.asked_in_vain += 1
                self.end(id, Finish.FAILED, retryable=True)
        return await super().ready()


def scripted_three() -> list[ScriptedProgram]:
    return [ScriptedProgram(ProgramId(name), 0.0, (2, 2), 4) for name in "abc"]


async def test_a_server_that_is_killed_and_restarted_costs_time_and_no_program() -> None:
    engine = Restarted(killed_at=6.0, back_at=60.0)
    dispatcher = Dispatcher(engine, engine, Limits(3, 1000, outage_s=100.0))
    events, ended = await play(dispatcher, engine, scripted_three())
    finished = [event for event in events if isinstance(event, ProgramEnded)]
    assert [event.outcome.answer for event in finished] == ["4"] * 3
    assert sum(event.outcome.tokens for event in finished) == 3 * 4 * 4 + 3 * 2, (
        "with what the killed ones had generated"
    )
    assert min(ended.values()) > 60.0
    assert max(ended.values()) < 60.0 + 16.0 + 4 * 4.0, "asked again at the latest 16 s after it is back"
    assert engine.asked_in_vain <= 3 + 8, "by one request at a time, ever more seldom"


async def test_a_server_that_stays_away_leaves_its_programs_for_a_resume() -> None:
    engine = Restarted(killed_at=6.0, back_at=1e9)
    dispatcher = Dispatcher(engine, engine, Limits(3, 1000, outage_s=100.0))
    events, _ = await play(dispatcher, engine, scripted_three())
    assert sorted(e.program.id for e in events if isinstance(e, ProgramStalled)) == ["a", "b", "c"]
    assert 100.0 < engine.now() < 300.0
    assert dispatcher.program_count == dispatcher.request_count == 0


async def test_a_drain_waits_for_no_server() -> None:
    engine = Restarted(killed_at=6.0, back_at=1e9)
    dispatcher = Dispatcher(engine, engine, Limits(3, 1000, outage_s=1e6))
    for program in scripted_three():
        dispatcher.start(session_of(program))
    while engine.now() < 50.0:
        await dispatcher.step()
    dispatcher.drain()
    while not dispatcher.idle:
        await dispatcher.step()
    assert engine.now() < 70.0
    assert dispatcher.program_count == 3


class Placed(TimedEngine):
    """An engine that tells of its queue."""

    @property
    def queued_count(self) -> int:
        return len(self._waiting)


async def test_the_limit_follows_an_engine_that_tells_of_its_queue() -> None:
    """Eight places at the engine: what more it is given waits there, where nobody orders it."""
    clock = VirtualClock()
    engine = Placed(clock, slots=8, token_s=1.0)
    dispatcher = Dispatcher(engine, clock, Limits(64, 1000, adaptive=True))
    assert dispatcher.in_flight_limit == 4

    async def to_end() -> None:
        while not dispatcher.idle:
            await dispatcher.step()

    for n in range(100):
        setup = Setup(cap=4, grouping=ByText, sampling=Sampling(max_tokens=1 + n % 7), extract=str)
        program = SelfConsistency(Problem(f"p{n}", "which?", None), setup)
        dispatcher.start(Session(program, InRounds(Even())))
    await clock.play(to_end())
    assert 6 <= dispatcher.in_flight_limit <= 10
