"""The modelled machines of a run: how many accelerators, how fast, with how much memory, and where is scheduled.

Settings only; nothing here runs.
"""

from collections.abc import Callable
from dataclasses import dataclass

from dynasor.errors import UsageError
from dynasor.scheduling.ordering import Ordering
from dynasor.scheduling.waiting import Waiting
from dynasor.simulation.cost import CostModel
from dynasor.simulation.kv_cache import KvCache
from dynasor.simulation.limits import Limits
from dynasor.simulation.stepping import Stepping

CachedTokens = Callable[[Waiting], int]
"""A waiting request -> the tokens of its prompt that the cache holds now."""

OrderingOf = Callable[[CachedTokens], Ordering]
"""Makes the ordering of one replica; most take no look at its cache."""

EngineOf = Callable[[CostModel, KvCache, Limits], Stepping]
"""Makes the engine of one replica behind a scheduler in front."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A replica dies and comes back, in seconds from the start; its cache is then empty, and its requests are lost."""

    replica: int
    dies_at: float
    back_at: float

    def __post_init__(self) -> None:
        """Refuse one that comes back before it dies."""
        if not 0 <= self.dies_at < self.back_at:
            raise UsageError(f"replica {self.replica} dies at {self.dies_at} s and is back at {self.back_at} s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Replicas that are all alike.

    Attributes:
        cost: how long a step takes.
        cache_tokens: that each replica's memory holds, in blocks of `block_tokens`.
        limits: of each replica's engine.
        ordering: how waiting requests rank.
        front_limit: None to schedule inside the engines; else the scheduler stands in front of each, which then is
            first come, first served, and lets so many requests through at a time.
        keeps_live: whether memory for prefixes is taken first from programs without requests, and not from the least
            recent; inside the engine only.
        request_s: what a request takes beside its steps: so much later its end is known.
        entry_s: what a server takes to read a request, one after the other, before its engine has it.
        shares_prefixes: whether the requests of a program share the memory of their prompt.
        faults: replicas that die.
        engine: what stands behind a scheduler in front; None: the model of an accelerator.
    """

    cost: CostModel
    cache_tokens: int
    ordering: OrderingOf
    limits: Limits = Limits()  # noqa: RUF009  (frozen)
    block_tokens: int = 16
    replicas: int = 1
    front_limit: int | None = None
    keeps_live: bool = True
    request_s: float = 0.0
    entry_s: float = 0.0
    shares_prefixes: bool = True
    faults: tuple[Fault, ...] = ()
    engine: EngineOf | None = None

    def __post_init__(self) -> None:
        """Refuse a fleet that cannot be."""
        if self.replicas < 1:
            raise UsageError(f"{self.replicas} replicas; there must be at least 1")
        if self.front_limit is not None and self.front_limit < 1:
            raise UsageError(f"the limit in front of an engine is {self.front_limit}; it must be at least 1")
        if self.engine is not None and self.front_limit is None:
            raise UsageError("an engine of its own is scheduled in front; give a front_limit")
        for fault in self.faults:
            if not 0 <= fault.replica < self.replicas:
                raise UsageError(f"replica {fault.replica} is to die, and there are {self.replicas}, counted from 0")
