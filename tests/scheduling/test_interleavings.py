"""Any interleaving of arrivals, starts, service, preemptions, ends and failures, against a plain model."""

from collections.abc import Callable

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

from dynasor.request import ProgramId
from dynasor.scheduling.aging import Aging
from dynasor.scheduling.app_fifo import AppFifo, DeepestFirst
from dynasor.scheduling.attained import LeastAttained
from dynasor.scheduling.deadline import EarliestDeadline, LeastSlack
from dynasor.scheduling.fcfs import Fcfs
from dynasor.scheduling.gang import Gang
from dynasor.scheduling.ordering import Key, Ordering
from dynasor.scheduling.prefix import Prefix
from dynasor.scheduling.scheduler import Scheduler
from dynasor.scheduling.sjf import Sjf
from dynasor.scheduling.waiting import Waiting

ORDERINGS: dict[str, Callable[[], Ordering]] = {
    "fcfs": Fcfs,
    "prefix": lambda: Prefix(lambda request: request.rank * 7 % 40),
    "app-fifo": AppFifo,
    "deepest": DeepestFirst,
    "gang": lambda: Gang(Fcfs()),
    "sjf": Sjf,
    "aging": lambda: Aging(Gang(Sjf()), patience=2.0, tokens_per_s=100.0),
    "attained": lambda: LeastAttained(quantum_tokens=20),
    "deadline": EarliestDeadline,
    "slack": lambda: Aging(LeastSlack(tokens_per_s=50.0), patience=0.0),
}
PROGRAMS = st.integers(0, 4).map(lambda index: ProgramId(f"p{index}"))


class Interleaving(RuleBasedStateMachine):
    """A scheduler, and beside it what should wait and what should run."""

    make_ordering: Callable[[], Ordering] = Fcfs

    @initialize()
    def empty(self) -> None:
        self.ordering = type(self).make_ordering()
        self.scheduler = Scheduler(self.ordering)
        self.now = 0.0
        self.arrived = 0
        self.waiting: dict[object, Waiting] = {}
        self.running: dict[object, Waiting] = {}

    @rule(seconds=st.floats(0.0, 5.0))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule(program=PROGRAMS, knob=st.none() | st.integers(0, 9), deadline=st.none() | st.floats(0.0, 50.0))
    def begin(self, program: ProgramId, knob: int | None, deadline: float | None) -> None:
        self.scheduler.begin(program, self.now, remaining_knob=knob, deadline=deadline)

    @rule(program=PROGRAMS, count=st.integers(1, 3), depth=st.integers(0, 2), opening=st.sampled_from((None, 1, 2)))
    def arrive(self, program: ProgramId, count: int, depth: int, opening: int | None) -> None:
        for _ in range(count):
            request = self.scheduler.add(self.arrived, program, self.now, depth=depth, opening=opening)
            self.waiting[request.id] = request
            self.arrived += 1

    @rule()
    def start_next(self) -> None:
        request = self.scheduler.next(self.now)
        if request is None:
            assert not self.waiting, "nobody is lost"
        else:
            assert request == self.waiting.pop(request.id), "nobody is started twice"
            self.running[request.id] = request

    @rule(most=st.integers(1, 5))
    def start_a_step(self, most: int) -> None:
        for request in self.scheduler.order(self.now, most):
            assert self.scheduler.start(request.id, self.now) is request
            self.running[request.id] = self.waiting.pop(request.id)

    @rule()
    def order_is_what_comes(self) -> None:
        whole = self.scheduler.order(self.now, 99)
        assert {request.id for request in whole} == set(self.waiting)
        assert len(whole) == len(self.waiting)
        assert whole == self.scheduler.order(self.now, 99), "to ask changes nothing"

    @invariant()
    def the_least_key_is_next(self) -> None:
        if not hasattr(self, "scheduler") or isinstance(self.ordering, Prefix):
            return
        oldest = {(r.program, r.depth): r for r in sorted(self.waiting.values(), key=lambda r: -r.rank)}.values()
        first = min(oldest, key=self.key, default=None)
        assert self.scheduler.order(self.now, 1) == ([] if first is None else [first]), "computed afresh"

    @precondition(lambda self: self.running)
    @rule(pick=st.integers(0, 99), tokens=st.integers(0, 60), how=st.sampled_from(("serve", "finish", "put back")))
    def run(self, pick: int, tokens: int, how: str) -> None:
        id = list(self.running)[pick % len(self.running)]
        if how == "serve":
            self.scheduler.served(id, tokens, self.now)
        elif how == "finish":
            self.scheduler.finish(id, 60, self.now)
            del self.running[id]
        else:
            self.scheduler.put_back(id, self.now)
            self.waiting[id] = self.running.pop(id)

    @precondition(lambda self: self.arrived)
    @rule(pick=st.integers(0, 99))
    def cut(self, pick: int) -> None:
        id = pick % self.arrived
        known = self.waiting.pop(id, None) or self.running.pop(id, None)
        assert self.scheduler.remove(id, self.now) == (known is not None)

    @rule(program=PROGRAMS, knob=st.integers(0, 9), turned=st.none() | st.integers(0, 9))
    def report(self, program: ProgramId, knob: int, turned: int | None) -> None:
        if program in self.scheduler.table:
            self.scheduler.progress(program, self.now, remaining_knob=knob, knob=turned)

    @rule(program=PROGRAMS)
    def end(self, program: ProgramId) -> None:
        unstarted = self.scheduler.end(program, self.now)
        assert [r.id for r in unstarted] == [id for id, r in sorted(self.waiting.items()) if r.program == program]
        for request in unstarted:
            del self.waiting[request.id]

    def key(self, request: Waiting) -> Key:
        return self.scheduler.key(request.id, self.now)

    def teardown(self) -> None:
        if not hasattr(self, "scheduler"):
            return
        self.start_a_step(999)
        assert self.scheduler.waiting_count == 0
        assert self.scheduler.running_count == len(self.running)
        for row in self.scheduler.table:
            assert row.in_flight == sum(request.program == row.id for request in self.running.values())
        for id in self.running:
            self.scheduler.finish(id, 60, self.now)
        for index in range(5):
            self.scheduler.end(ProgramId(f"p{index}"), self.now)
        assert self.scheduler.next(self.now) is None
        assert len(self.scheduler.table) == 0
        assert not self.scheduler._generated
        assert not self.scheduler._lanes._lanes


@pytest.mark.slow
@pytest.mark.parametrize("name", ORDERINGS)
def test_no_request_is_lost_or_started_twice(name: str) -> None:
    machine = type("Machine", (Interleaving,), {"make_ordering": staticmethod(ORDERINGS[name])})
    run_state_machine_as_test(machine, settings=settings(max_examples=20, stateful_step_count=30, deadline=None))
