"""The backends of a gateway: which one a call goes to, and what is known of the health of each.

Where a program's requests go, and whether a backend is asked at all, is decided by the pure policy of
`engines.replica_placement` and `engines.replica_breaker`; the bytes are moved by `upstream`.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import msgspec

from dynasor.clock import Clock
from dynasor.engines.replica_breaker import Breaker, BreakerState
from dynasor.engines.replica_placement import Load, Placement
from dynasor.engines.replica_policy import ReplicaPolicy
from dynasor.gateway.call import Call
from dynasor.gateway.refusals import Refused
from dynasor.gateway.upstream import Upstream

POLICY = ReplicaPolicy(failures=5, open_s=10.0, reissues=2, budget_share=0.1, budget_floor=3)


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[msgspec.Raw]


@dataclass(slots=True, eq=False)
class Backend:
    """One server.

    Attributes:
        in_flight: calls that it has.
        healthy: whether it has answered the latest health check.
        models: by name, as it describes them; empty where it has not told.
        fault: the latest, in words.
    """

    name: str
    upstream: Upstream
    breaker: Breaker
    in_flight: int = 0
    healthy: bool = False
    answered_count: int = 0
    failure_count: int = 0
    models: dict[str, msgspec.Raw] = field(default_factory=dict)
    fault: str | None = None

    def praise(self) -> None:
        """A call was answered."""
        self.answered_count += 1
        self.breaker.succeed()

    def blame(self, fault: str, now: float) -> None:
        """A call has failed by its fault."""
        self.failure_count += 1
        self.fault = fault
        self.breaker.fail(now)


class Backends:
    """All backends of a gateway; there is at least one."""

    def __init__(self, upstreams: Sequence[tuple[str, Upstream]], clock: Clock, policy: ReplicaPolicy = POLICY) -> None:
        self.all = [Backend(name, upstream, Breaker(policy)) for name, upstream in upstreams]
        self.clock, self._policy = clock, policy
        self._placement = Placement(policy)
        self._reissued = 0
        self._held: deque[asyncio.Future[None]] = deque()  # calls over the budget

    @property
    def in_flight(self) -> int:
        """Calls at all of them."""
        return sum(backend.in_flight for backend in self.all)

    @property
    def is_ready(self) -> bool:
        """Whether one of them answers."""
        return any(backend.healthy and backend.breaker.state is not BreakerState.OPEN for backend in self.all)

    def serves(self, model: str) -> bool:
        """Whether one of them has a model of this name."""
        return any(model in backend.models for backend in self.all)

    def models(self) -> dict[str, msgspec.Raw]:
        """All models, by name."""
        return {name: model for backend in reversed(self.all) for name, model in backend.models.items()}

    def choose(self, call: Call, tried: Collection[Backend]) -> Backend | None:
        """The backend for a call; None where all were tried.

        Where the breakers of all are open, they are asked nevertheless: to be refused by all is no better.
        """
        if len(self.all) == 1:
            return None if tried else self.all[0]
        untried = [index for index, backend in enumerate(self.all) if backend not in tried]
        fitting = [index for index in untried if call.asked.model in self.all[index].models] or untried
        offered = [index for index in fitting if self.all[index].breaker.admits] or fitting
        if not offered:
            return None
        if call.identity.id is None:
            return self.all[min(offered, key=lambda index: (self.all[index].in_flight, index))]
        loads = [Load(backend.in_flight, backend.in_flight) for backend in self.all]
        place = self._placement.place(call.program, loads, offered)
        return None if place is None else self.all[place]

    def may_reissue(self, attempts: int) -> bool:
        """Whether a call that was lost so many times may be sent once more; whoever does so calls `reissue`."""
        return attempts <= self._policy.reissues and self._policy.may_reissue(self._reissued, self.in_flight)

    async def reissue_soon(self, call: Call, tried: Collection[Backend]) -> bool:
        """Whether a lost call is sent to another backend that works; over the budget it waits until it may be."""
        while call.attempts <= self._policy.reissues and self._works_elsewhere(call, tried):
            if self.may_reissue(call.attempts):
                return True
            held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._held.append(held)
            await held
        return False

    def reissue(self, change: int) -> None:
        """So many more calls are at a backend that were lost before."""
        self._reissued += change
        while change < 0 and self._held:
            held = self._held.popleft()
            if not held.done():  # whose client has not left
                held.set_result(None)
                change += 1

    def _works_elsewhere(self, call: Call, tried: Collection[Backend]) -> bool:
        others = [backend for backend in self.all if backend not in tried and backend.breaker.admits]
        return any(call.asked.model in backend.models or not backend.models for backend in others)

    async def watch(self) -> None:
        """Look after the health of all, until cancelled."""
        while True:
            await self.clock.sleep(self._policy.check_every_s)
            await self.examine()

    async def examine(self) -> None:
        """Ask each for its models."""
        await asyncio.gather(*(self._examine(backend) for backend in self.all))

    async def close(self) -> None:
        """Close all connections."""
        for backend in self.all:
            await backend.upstream.close()

    async def _examine(self, backend: Backend) -> None:
        fault: str | None
        try:
            async with asyncio.timeout(self._policy.check_limit_s):
                status, models = await _models_of(backend.upstream)
            fault = f"{status} to a health check" if status >= 500 else None
        except (Refused, TimeoutError) as failed:
            fault, models = getattr(failed, "why", "") or "no answer to a health check", {}
        backend.healthy = fault is None
        if fault is None:
            backend.models = models or backend.models
            backend.breaker.pass_check(self.clock.now())
        else:
            backend.fault = fault
            backend.breaker.fail_check(self.clock.now())


async def _models_of(upstream: Upstream) -> tuple[int, dict[str, msgspec.Raw]]:
    arrived = await upstream.ask("GET", "/models", None, {})
    try:
        body = await arrived.whole()
        listed = msgspec.json.decode(body, type=_Models).data if arrived.status == 200 else []
        return arrived.status, {msgspec.json.decode(raw, type=_Model).id: raw for raw in listed}
    except (msgspec.DecodeError, UnicodeDecodeError):
        return arrived.status, {}
    finally:
        arrived.close()
