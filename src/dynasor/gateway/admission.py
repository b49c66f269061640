"""The way in: a request gets its turn, waits for it, or is refused at once. It moves no bytes.

A call that a program answers takes no turn itself: each branch of the program does, as `gateway.branch_turns` has it.
What is refused is told honestly when to come again: by how fast the queue has emptied so far.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable

from dynasor.clock import Clock
from dynasor.gateway.call import Call
from dynasor.gateway.client_programs import ClientProgram, ClientPrograms
from dynasor.gateway.quota import Quota
from dynasor.gateway.refusals import Refused
from dynasor.gateway.tenants import Tenant
from dynasor.gateway.turns import Lane, Turns
from dynasor.request import ProgramId


class Admission:
    """Used within one event loop.

    Attributes:
        turns: what waits and runs.
        programs: those that clients drive.
        refused_count: requests that were refused here.
    """

    def __init__(self, turns: Turns, programs: ClientPrograms, clock: Clock) -> None:
        self.turns, self.programs, self.clock = turns, programs, clock
        self.refused_count = 0
        self._quotas: dict[str, Quota] = {}
        self._waiting: dict[Hashable, Callable[[], None]] = {}  # what lets each begin
        self._branches: Counter[str] = Counter()  # of tenants' programs, that wait

    def turn(self, call: Call) -> "Turn":
        """A call's turn, as a context: to enter is to wait for it."""
        return Turn(self, call)

    def visit(self, call: Call) -> "Visit":
        """The time of a call whose program takes turns for its branches, as a context."""
        return Visit(self, call)

    def admit(self, call: Call, now: float) -> None:
        """Judge a call that has come.

        Raises:
            Refused: 429: a quota is used up, too many wait, or its deadline cannot be met.
        """
        try:
            lane = self.turns.lane(call.tenant)
            if lane.waiting and (waiting := lane.waiting - self._branches[call.tenant.name]):
                _refuse_if_full(call, lane, waiting, now)
            self.quota(call.tenant).admit(now)
        except Refused:
            self.refused_count += 1
            raise

    def start(self, call: Call, now: float) -> bool:
        """Let a call join those who wait, and start all that may; returns whether it is among them."""
        return self.turns.begin(call, call.tenant, call.program, now) or self.start_all(now, call)

    def start_all(self, now: float, own: Call | None = None) -> bool:
        """Start all that may; returns whether one of them is the caller's own."""
        started = False
        while (chosen := self.turns.next(now)) is not None:
            if chosen is own:
                started = True
            else:
                self._waiting.pop(chosen)()
        return started

    def line_up(self, branch: Hashable, tenant: Tenant, program: ProgramId, begin: Callable[[], None]) -> None:
        """A branch of a tenant's program wants to begin; `begin` is called when it may, perhaps at once."""

        def may_begin() -> None:
            self._branches[tenant.name] -= 1
            begin()

        now = self.clock.now()
        self._branches[tenant.name] += 1
        self._waiting[branch] = may_begin
        self.turns.add(branch, tenant, program, now)
        self.start_all(now)

    def withdraw(self, branch: Hashable, tenant: Tenant) -> None:
        """A branch that has not begun is wanted no more."""
        del self._waiting[branch]
        self._branches[tenant.name] -= 1
        self.turns.withdraw(branch, self.clock.now())

    def leave(self, branch: Hashable, tokens: int) -> None:
        """A branch that had begun has ended."""
        now = self.clock.now()
        self.turns.end(branch, tokens, now)
        self.start_all(now)

    async def wait(self, call: Call) -> None:
        """Wait until a call has been started; where its client leaves or its deadline passes, it is withdrawn.

        Raises:
            Refused: 429: its deadline has passed.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[call] = lambda: None if future.done() else future.set_result(None)
        try:
            async with asyncio.timeout(call.deadline_s):
                await future
        except BaseException as fault:
            now = self.clock.now()
            if self.turns.has_started(call):  # in the same instant
                self.turns.end(call, 0, now)
                self.start_all(now)
            else:
                self.turns.withdraw(call, now)
            if isinstance(fault, TimeoutError):
                lane = self.turns.lane(call.tenant)
                raise _late(call, lane, lane.waiting - self._branches[call.tenant.name], now) from None
            raise
        finally:
            self._waiting.pop(call, None)

    def quota(self, tenant: Tenant) -> Quota:
        """What a tenant may still use."""
        quota = self._quotas.get(tenant.name)
        if quota is None:
            account = self._quotas.get(tenant.account) or Quota(tenant)
            quota = self._quotas[tenant.name] = self._quotas[tenant.account] = account
        return quota


class Visit:
    """The time in which a call is here."""

    __slots__ = ("_admission", "_call", "_program")

    def __init__(self, admission: Admission, call: Call) -> None:
        self._admission, self._call = admission, call
        self._program: ClientProgram | None = None

    async def __aenter__(self) -> None:
        self._enter()

    async def __aexit__(self, *_: object) -> None:
        now, tokens = self._admission.clock.now(), self._call.spent.tokens
        self._admission.quota(self._call.tenant).spend(tokens, now)
        self._leave_program(tokens, now)

    def _enter(self) -> None:
        admission, call = self._admission, self._call
        admission.admit(call, call.arrived_at)
        identity = call.identity
        if identity.id is not None:
            entered = admission.programs.enter(call.tenant, identity.id, call.arrived_at, identity.remaining_tokens)
            self._program = entered

    def _leave_program(self, tokens: int, now: float) -> None:
        if self._program is not None:
            self._admission.programs.leave(self._program, tokens, now)
            if self._call.identity.is_last:
                self._admission.programs.close(self._program, now)


class Turn(Visit):
    """The time in which a call is at the backends."""

    __slots__ = ()

    async def __aenter__(self) -> None:
        admission, call = self._admission, self._call
        now = call.arrived_at
        self._enter()
        if admission.start(call, now):
            call.started_at = now
            return
        try:
            await admission.wait(call)
        except BaseException:
            self._leave_program(0, admission.clock.now())
            raise
        call.started_at = admission.clock.now()

    async def __aexit__(self, *_: object) -> None:
        admission, call = self._admission, self._call
        now, tokens = admission.clock.now(), call.spent.tokens
        admission.turns.end(call, tokens, now)
        admission.quota(call.tenant).spend(tokens, now)
        self._leave_program(tokens, now)
        admission.start_all(now)


def _refuse_if_full(call: Call, lane: Lane, waiting: int, now: float) -> None:
    wait_s = lane.drained.wait_s(lane.waiting, now)
    if waiting >= call.tenant.queue:
        told = f"{waiting} requests of {call.tenant.name} wait already; come again in {wait_s:.1f} s"
        raise Refused(429, told, "overloaded", retry_after_s=wait_s)
    if call.deadline_s is not None and wait_s > call.deadline_s:
        raise _late(call, lane, waiting, now)


def _late(call: Call, lane: Lane, waiting: int, now: float) -> Refused:
    wait_s = lane.drained.wait_s(lane.waiting, now)
    told = f"the answer cannot begin within {call.deadline_s:g} s: {waiting} requests wait before it"
    return Refused(429, told, "deadline_unmeetable", retry_after_s=wait_s)
