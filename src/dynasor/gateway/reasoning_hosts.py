"""One service for each tenant and model that reasons, made when it is first asked for. It knows no concrete engine."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field

from dynasor.clock import Clock
from dynasor.errors import DynasorError
from dynasor.gateway.drain_rate import DrainRate
from dynasor.gateway.refusals import Refused
from dynasor.gateway.tenants import Tenant
from dynasor.runtime.events import BranchLanded, Event, ProgramStarted
from dynasor.runtime.service import Listener, Service

Models = Callable[[], Awaitable[Mapping[str, Hashable]]]
MakeService = Callable[[str, Tenant], Awaitable[Service]]

_WEIGHT = 0.1  # of the latest branch in the mean
_RETIRING_S = 3600.0  # for the programs of a service in whose place there is another


@dataclass(slots=True, eq=False)
class Host:
    """What runs the programs of one tenant on one model.

    Attributes:
        having: who has the model.
    """

    service: Service
    having: Hashable
    clock: Clock
    _started: DrainRate = field(default_factory=DrainRate)
    _branch_tokens: float | None = None

    def take(self, event: Event | ProgramStarted) -> None:
        """Something has happened to one of them."""
        if isinstance(event, ProgramStarted):
            self._started.leave(self.clock.now())
        elif isinstance(event, BranchLanded) and event.completion.finish.is_whole and event.completion.tokens:
            mean, tokens = self._branch_tokens, event.completion.tokens
            self._branch_tokens = float(tokens) if mean is None else mean + _WEIGHT * (tokens - mean)

    def admit(self, tenant: Tenant) -> None:
        """Judge one that has come.

        Raises:
            Refused: 429: too many wait.
        """
        waiting = self.service.waiting_count
        if waiting and waiting >= tenant.queue:
            wait_s = self.wait_s()
            told = f"{waiting} programs of {tenant.name} wait already; come again in {wait_s:.1f} s"
            raise Refused(429, told, "overloaded", retry_after_s=wait_s)

    def admit_in_time(self, within_s: float) -> None:
        """Judge one whose answer is of no use later.

        Raises:
            Refused: 429: not even one branch of it can end in time, at the pace of those before it.
        """
        pace = None if self.service.overload is None else self.service.overload.request_tokens_per_s
        branch_s = self._branch_tokens / pace if self._branch_tokens and pace else 0.0  # as far as anybody knows
        wait_s = self.wait_s()
        needed_s = wait_s + branch_s
        if needed_s > within_s:
            told = f"the answer cannot come within {within_s:.3g} s: one branch of it takes {needed_s:.1f} s from now"
            raise Refused(429, told, "deadline_unmeetable", retry_after_s=max(wait_s, needed_s - within_s))

    def wait_s(self) -> float:
        """Until one that comes now begins, by how fast others have begun."""
        waiting = self.service.waiting_count
        return self._started.wait_s(waiting, self.clock.now()) if waiting else 0.0


class Hosts:
    """The services of a gateway.

    Attributes:
        listeners: are told of everything that happens in any of them.
    """

    def __init__(self, models: Models, make: MakeService, clock: Clock) -> None:
        """None runs yet.

        Args:
            models: the names of all that the backends have, each with who has it: where more do, it gets another
                service, which asks them too.
            make: makes the service of a tenant on one, with an engine that can work.
            clock: of all instants.
        """
        self._models, self._make, self._clock = models, make, clock
        self._hosts: dict[tuple[str, str], Host] = {}
        self._making = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()
        self.listeners: list[Listener] = []

    @property
    def services(self) -> Collection[Service]:
        """Those that take programs."""
        return [host.service for host in self._hosts.values()]

    async def __call__(self, model: str | None, tenant: Tenant) -> Host:
        """Where a tenant's programs run on a model; None: on the only one.

        Raises:
            Refused: there is no such model, it is not said which of several, or its backend does not answer.
        """
        known = await self._models()
        if model is None:
            if len(known) != 1:
                told = "which model is asked? name one of /v1/models in the field model"
                raise Refused(400, told, "invalid_value", "model")
            model = next(iter(known))
        if model not in known:
            raise Refused(404, f"there is no model '{model[:200]}' here; see /v1/models", "model_not_found", "model")
        async with self._making:
            return await self._made(model, tenant, known[model])

    async def close(self, grace_s: float = 0.0) -> None:
        """Close all services, at one time."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*(service.close(grace_s) for service in self.services), *self._retiring,
                             return_exceptions=True)  # fmt: skip

    async def _made(self, model: str, tenant: Tenant, having: Hashable) -> Host:
        key = (model, tenant.name)
        before = self._hosts.get(key)
        if before is not None and before.having == having:
            return before
        try:
            service = await self._make(model, tenant)
        except DynasorError as fault:
            raise Refused(503, f"{model} cannot be asked: {fault}", "backend_down", retry_after_s=1.0) from None
        host = self._hosts[key] = Host(service, having, self._clock)
        service.listeners += [self._tell, host.take]
        if before is not None:
            task = asyncio.get_running_loop().create_task(before.service.close(_RETIRING_S))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        return host

    def _tell(self, event: Event | ProgramStarted) -> None:
        for listener in self.listeners:
            listener(event)
