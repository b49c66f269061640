"""One service for each model that reasons, made when it is first asked for. It knows no concrete engine."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping

from dynasor.errors import DynasorError
from dynasor.gateway.refusals import Refused
from dynasor.runtime.events import Event, ProgramStarted
from dynasor.runtime.service import Listener, Service

Models = Callable[[], Awaitable[Mapping[str, Hashable]]]
MakeService = Callable[[str], Awaitable[Service]]

_RETIRING_S = 3600.0  # for the programs of a service in whose place there is another


class Hosts:
    """The services of a gateway.

    Attributes:
        listeners: are told of everything that happens in any of them.
    """

    def __init__(self, models: Models, make: MakeService) -> None:
        """None runs yet.

        Args:
            models: the names of all that the backends have, each with who has it: where more do, it gets another
                service, which asks them too.
            make: makes the service of one, with an engine that can work.
        """
        self._models, self._make = models, make
        self._services: dict[str, tuple[Hashable, Service]] = {}
        self._making = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()
        self.listeners: list[Listener] = []

    @property
    def services(self) -> Collection[Service]:
        """Those that take programs."""
        return [service for _, service in self._services.values()]

    async def __call__(self, model: str | None) -> Service:
        """The service of a model; None: of the only one.

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
            return await self._made(model, known[model])

    async def close(self, grace_s: float = 0.0) -> None:
        """Close all services, at one time."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*(service.close(grace_s) for service in self.services), *self._retiring,
                             return_exceptions=True)  # fmt: skip

    async def _made(self, model: str, having: Hashable) -> Service:
        before = self._services.get(model)
        if before is not None and before[0] == having:
            return before[1]
        try:
            service = await self._make(model)
        except DynasorError as fault:
            raise Refused(503, f"{model} cannot be asked: {fault}", "backend_down", retry_after_s=1.0) from None
        service.listeners.append(self._tell)
        self._services[model] = (having, service)
        if before is not None:
            task = asyncio.get_running_loop().create_task(before[1].close(_RETIRING_S))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        return service

    def _tell(self, event: Event | ProgramStarted) -> None:
        for listener in self.listeners:
            listener(event)
