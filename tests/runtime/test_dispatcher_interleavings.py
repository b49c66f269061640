"""Any interleaving of arrivals, time, cancels, failures and a drain: nothing lost, nothing twice, never too many."""

import asyncio
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from dynasor.allocation.allocator import InFlight, InRounds
from dynasor.allocation.decided import Decided
from dynasor.allocation.threshold import SteppedThreshold
from dynasor.answers.grouping import ByText
from dynasor.datasets.problem import Problem
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.session import Session
from dynasor.request import Finish, ProgramId, RequestId
from dynasor.runtime.dispatcher import Dispatcher
from dynasor.runtime.events import BranchLanded, Event, ProgramEnded, ProgramStalled
from dynasor.runtime.in_flight import Limits
from dynasor.scheduling.specification import make_scheduler
from support.scripted import ScriptedEngine

SLOTS, CAP = 3, 6
ORDERINGS = ("fcfs", "app-fifo", "prefix", "gang+sjf", "dynasor", "attained:quantum_tokens=8", "edf")


class Interleaving(RuleBasedStateMachine):
    """A dispatcher, and beside it what was started and what has been told of."""

    ordering = "fcfs"

    @initialize()
    def empty(self) -> None:
        self.engine = ScriptedEngine(lambda request: 1 + (request.id.index * 7 + len(request.id.program)) % 9)
        self.scheduler = make_scheduler(type(self).ordering)[0]
        self.dispatcher = Dispatcher(self.engine, self.engine, Limits(SLOTS, 99), self.scheduler)
        self.programs: list[ProgramId] = []
        self.landed: Counter[RequestId] = Counter()
        self.failed: set[RequestId] = set()
        self.ended: list[ProgramId] = []
        self.stalled: list[ProgramId] = []

    @rule(in_flight=st.booleans(), threshold=st.sampled_from((0.4, 1.0)), deadline=st.none() | st.floats(0.0, 99.0))
    def arrive(self, in_flight: bool, threshold: float, deadline: float | None) -> None:
        id = ProgramId("p" * (1 + len(self.programs) % 4) + str(len(self.programs)))
        program = SelfConsistency(Problem(id, "which?", None), Setup(cap=CAP, grouping=ByText, extract=str))
        policy = SteppedThreshold(threshold, 2, 2)
        allocator = InFlight(Decided()) if in_flight else InRounds(policy)
        self.programs.append(id)
        self.dispatcher.start(Session(program, allocator), deadline=deadline)

    @precondition(lambda self: self.engine.running)
    @rule(pick=st.integers(0, 99), how=st.sampled_from(("report", "refuse", "let down", "cancel")))
    def meddle(self, pick: int, how: str) -> None:
        id = list(self.engine.running)[pick % len(self.engine.running)]
        if how == "report":
            self.engine.report(id)
        elif how == "cancel":
            self.engine.end(id, Finish.CANCELLED)
        else:
            self.engine.end(id, Finish.FAILED, retryable=how == "let down")
            if how == "let down":
                self.failed.add(id)

    @precondition(lambda self: hasattr(self, "engine") and self.dispatcher.program_count)
    @rule(pick=st.integers(0, 99))
    def withdraw(self, pick: int) -> None:
        session = list(self.dispatcher.sessions)[pick % self.dispatcher.program_count]
        self.dispatcher.withdraw(session.program.id, "nobody waits for it")
        assert not any(id.program == session.program.id for id in self.engine.running), "it is cut at once"
        self.take(self.dispatcher.take_events())

    @rule(seconds=st.floats(0.0, 4.0))
    def pass_time(self, seconds: float) -> None:
        self.engine.pass_to(self.engine.now() + seconds)

    @rule()
    def step(self) -> None:
        self.take(asyncio.run(self.dispatcher.step()))

    @rule(often=st.integers(0, 9))
    def drain(self, often: int) -> None:
        if not often:
            self.dispatcher.drain()

    def take(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case BranchLanded(_, completion):
                    self.landed[completion.id] += 1
                case ProgramEnded(program):
                    self.ended.append(program.id)
                case ProgramStalled(program):
                    self.stalled.append(program.id)

    @invariant()
    def never_too_many_at_the_engine(self) -> None:
        if hasattr(self, "engine"):
            assert self.engine.most_running <= SLOTS

    @invariant()
    def nobody_waits_beside_a_free_place(self) -> None:
        if hasattr(self, "engine") and self.scheduler.waiting_count:
            assert self.scheduler.running_count == SLOTS

    def teardown(self) -> None:
        if not hasattr(self, "engine"):
            return
        self.take(self.dispatcher.take_events())
        while not self.dispatcher.idle:
            self.step()
        started = Counter(self.engine.started)
        assert set(started.values()) <= {1}, "nothing is served twice"
        assert all(count == 1 for count in self.landed.values()), "and nothing told of twice"
        assert started.keys() <= self.landed.keys() | self.failed, "what ran has ended, and was told of"
        assert len(self.ended) + len(self.stalled) == len({*self.ended, *self.stalled})
        unfinished = {session.program.id for session in self.dispatcher.sessions}
        assert unfinished.isdisjoint(self.ended)
        assert {*self.ended, *self.stalled} | unfinished == set(self.programs), "nobody is lost"
        assert not unfinished or self.dispatcher.draining
        assert self.scheduler.running_count == self.scheduler.waiting_count == 0
        assert {row.id for row in self.scheduler.table} == unfinished
        assert not self.dispatcher._queue._generated
        for row in self.scheduler.table:
            assert not row.is_active


@pytest.mark.slow
@pytest.mark.parametrize("ordering", ORDERINGS)
def test_nothing_is_lost_or_served_twice(ordering: str) -> None:
    machine = type("Machine", (Interleaving,), {"ordering": ordering})
    run_state_machine_as_test(machine, settings=settings(max_examples=25, stateful_step_count=40, deadline=None))
