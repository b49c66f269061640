"""Who answers the requests of a gateway's programs: an engine for each model, over all backends that have it.

Each tenant has a service of its own over it, whose requests take their turns among those of all tenants.
"""

from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from typing import Final

from dynasor.allocation.overload import Overload
from dynasor.clock import Clock
from dynasor.engines.attempts import Attempts
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.engine import Engine
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.engines.reward_options import make_reward_model, parse_reward
from dynasor.engines.rewarding import RewardedEngine
from dynasor.engines.shared import SharedEngine
from dynasor.gateway.admission import Admission
from dynasor.gateway.backends import Backends
from dynasor.gateway.branch_turns import BranchTurns
from dynasor.gateway.call import Call
from dynasor.gateway.reasoning import Reasoning, Sessions
from dynasor.gateway.reasoning_hosts import Hosts
from dynasor.gateway.reasoning_settings import ReasoningSettings
from dynasor.gateway.reasoning_wish import Wishes
from dynasor.gateway.settings import GatewaySettings
from dynasor.gateway.tenants import Tenant
from dynasor.launch.reasoning import SessionMaker, algorithm_names
from dynasor.launch.replicas import replicated
from dynasor.runtime.in_flight import Limits
from dynasor.runtime.service import Service
from dynasor.wiring import make_scheduler

AS_SAMPLED: Final[Mapping[str, object]] = {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0}
"""For llama.cpp, which would narrow the choice of tokens unasked."""


class Engines:
    """Makes services, and lets go of their engines in the end."""

    def __init__(
        self,
        settings: GatewaySettings,
        addresses: Sequence[tuple[str, str]],
        admission: Admission,
        backends: Backends,
        *,
        slots: int | None = None,
        attempts: Attempts | None = None,
    ) -> None:
        """Nothing is asked yet.

        Args:
            settings: of the gateway.
            addresses: of the backends, with their keys; in the order of `backends`.
            admission: gives turns.
            backends: know who has which model.
            slots: of the model in this process, where that answers.
            attempts: is told of each attempt at a request.
        """
        self._settings, self._addresses, self._admission, self._backends = settings, addresses, admission, backends
        self._slots, self._attempts = slots, attempts
        self._environ = {f"KEY_{place}": key for place, (_, key) in enumerate(addresses)}
        self._engines: dict[tuple[str, Hashable], SharedEngine] = {}

    def names(self) -> Collection[str]:
        """Of all that the backends have told of so far."""
        return self._backends.models().keys()

    async def models(self) -> Mapping[str, Hashable]:
        """All that the backends have, each with the backends that have it."""
        if not self._backends.models():
            await self._backends.examine()
        return {model: tuple(self._having(model)) for model in self._backends.models()}

    async def make(self, model: str, tenant: Tenant) -> Service:
        """The service of a tenant on a model.

        Raises:
            DynasorError: its engine cannot work.
        """
        having = self._having(model)
        shared = self._engines.get((model, tuple(having)))
        if shared is None:
            shared = self._engines[model, tuple(having)] = await self._checked(model, having)
        asked = self._settings.reasoning
        most = self._slots or asked.requests * len(having)
        limits = Limits(most if tenant.concurrency is None else min(most, tenant.concurrency), asked.programs)
        view = shared.view(BranchTurns(self._admission, tenant))
        return Service(view, self._admission.clock, limits, make_scheduler(asked.ordering)[0], Overload())

    async def close(self) -> None:
        """Let go of all engines."""
        for engine in self._engines.values():
            await engine.close()

    async def _checked(self, model: str, having: Sequence[int]) -> SharedEngine:
        engine = self._over([self._endpoint(place, model) for place in having])
        if len(having) == 1 or self._settings.reasoning.reward:
            try:
                await engine.check()
            except BaseException:
                await engine.close()
                raise
        # else one may be gone: that is found out when it is asked, and another is asked then
        return SharedEngine(engine)

    def _having(self, model: str) -> list[int]:
        return [place for place, backend in enumerate(self._backends.all) if model in backend.models]

    def _endpoint(self, place: int, model: str) -> Endpoint:
        return Endpoint(
            self._addresses[place][0],
            model=model,
            api_key_variable=f"KEY_{place}",
            timeouts=self._settings.timeouts,
            extra_body={} if self._slots is None else AS_SAMPLED,
        )

    def _over(self, endpoints: Sequence[Endpoint]) -> Engine:
        engine: Engine
        if len(endpoints) == 1:
            engine = OpenAIEngine(endpoints[0], environ=self._environ, attempts=self._attempts)
        else:
            engine = replicated(*endpoints, environ=self._environ, attempts=self._attempts)
        reward = self._settings.reasoning.reward
        return RewardedEngine(engine, make_reward_model(parse_reward(reward))) if reward else engine


def check_reasoning(settings: ReasoningSettings) -> None:
    """Judge settings, and ask nobody.

    Raises:
        UsageError: one cannot be.
    """
    SessionMaker(settings)
    make_scheduler(settings.ordering)
    if settings.reward:
        parse_reward(settings.reward)


def make_reasoning(
    settings: GatewaySettings,
    engines: Engines,
    clock: Clock,
    otherwise: Callable[[Call], Awaitable[None]],
    observed: Callable[[Sessions], Sessions],
) -> Reasoning:
    """What answers calls that ask for reasoning, and hands on the others; `observed` puts an eye on sessions.

    Raises:
        UsageError: a setting cannot be.
    """
    asked = settings.reasoning
    wishes = Wishes(asked, algorithm_names(), engines.names)
    hosts = Hosts(engines.models, engines.make, clock)
    return Reasoning(hosts, observed(SessionMaker(asked)), wishes, asked, clock, otherwise, settings.timeouts.idle_s)
