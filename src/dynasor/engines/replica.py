"""One of several servers of a model, as the engine over them sees it: its engine, its breaker, what it has to do."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from dynasor.engines.engine import Engine
from dynasor.engines.replica_breaker import Breaker, BreakerState
from dynasor.engines.replica_calls import Call
from dynasor.engines.replica_placement import Load
from dynasor.errors import DynasorError, UsageError
from dynasor.request import RequestId

HealthCheck = Callable[[], Awaitable[None]]
"""Raises a `DynasorError` or a `TimeoutError` where a replica cannot work. It may be asked again and again."""


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """What there is to see of a replica.

    Attributes:
        outstanding_tokens: the most that its requests may still generate.
        failure_count: requests that failed by its fault, and health checks that it failed.
        lost_count: requests that it lost and that were issued again.
        fault: the latest, in words; None where there was none.
    """

    name: str
    state: BreakerState
    in_flight: int
    outstanding_tokens: int
    answered_count: int
    failure_count: int
    lost_count: int
    fault: str | None


@dataclass(slots=True, eq=False)
class Replica:
    """A server in use.

    Attributes:
        calls: what is at it.
        busy: set while anything is.
        outstanding_tokens, reissued_in_flight: of what is at it; requests that were lost elsewhere, or here before.
    """

    name: str
    engine: Engine
    health: HealthCheck
    breaker: Breaker
    calls: dict[RequestId, Call] = field(default_factory=dict)
    busy: asyncio.Event = field(default_factory=asyncio.Event)
    outstanding_tokens: int = 0
    reissued_in_flight: int = 0
    answered_count: int = 0
    failure_count: int = 0
    lost_count: int = 0
    fault: str | None = None

    @property
    def model(self) -> str | None:
        """The model that its engine answers with; None where that does not tell."""
        model: str | None = getattr(self.engine, "model", None)
        return model

    @property
    def load(self) -> Load:
        """What it has to do."""
        return Load(len(self.calls), self.outstanding_tokens)

    @property
    def snapshot(self) -> ReplicaState:
        """What there is to see of it."""
        return ReplicaState(
            name=self.name,
            state=self.breaker.state,
            in_flight=len(self.calls),
            outstanding_tokens=self.outstanding_tokens,
            answered_count=self.answered_count,
            failure_count=self.failure_count,
            lost_count=self.lost_count,
            fault=self.fault,
        )

    def may_take(self, call: Call) -> bool:
        """Whether a request may be sent to it: one that it has lost, only once it has passed another health check."""
        return self.breaker.admits and self.breaker.passed_check_count > call.lost_at.get(self.name, -1)

    def start(self, call: Call) -> None:
        """Send it a request."""
        self.calls[call.request.id] = call
        self.outstanding_tokens += call.cost
        self.reissued_in_flight += call.is_reissued
        self.breaker.begin()
        self.engine.submit(call.attempt())
        self.busy.set()

    def end(self, id: RequestId) -> Call:
        """A request is no longer at it."""
        call = self.calls.pop(id)
        self.outstanding_tokens -= call.cost
        self.reissued_in_flight -= call.is_reissued
        if not self.calls:
            self.busy.clear()
        return call

    def blame(self, fault: str) -> None:
        """Note a fault of it."""
        self.failure_count += 1
        self.fault = fault

    async def examine(self, limit_s: float) -> str | None:
        """Ask for its health; returns what is wrong with it."""
        try:
            async with asyncio.timeout(limit_s):
                await self.health()
        except TimeoutError:
            return f"no answer to a health check within {limit_s:g} s"
        except DynasorError as fault:
            return str(fault)
        return None


def model_of(replicas: Sequence[Replica]) -> str | None:
    """The one model of all replicas; None where nobody tells.

    Raises:
        UsageError: they have different ones.
    """
    first, *others = replicas
    for other in others:
        if other.model != first.model:
            raise UsageError(
                f"replicas must have one model: {first.name} has '{first.model}', and {other.name} has"
                f" '{other.model}'; name a model that both have, or leave one out"
            )
    return first.model
