"""Who answers the requests of a gateway's programs: an engine for each model, over all backends that have it."""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Final

from dynasor.allocation.overload import Overload
from dynasor.clock import Clock
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.engine import Engine
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.engines.reward_options import make_reward_model, parse_reward
from dynasor.engines.rewarding import RewardedEngine
from dynasor.gateway.backends import Backends
from dynasor.gateway.call import Call
from dynasor.gateway.reasoning import Reasoning, Sessions
from dynasor.gateway.reasoning_hosts import Hosts
from dynasor.gateway.reasoning_settings import ReasoningSettings
from dynasor.gateway.reasoning_wish import Wishes
from dynasor.gateway.settings import GatewaySettings
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
        clock: Clock,
        backends: Backends,
        *,
        slots: int | None = None,
    ) -> None:
        """Nothing is asked yet.

        Args:
            settings: of the gateway.
            addresses: of the backends, with their keys; in the order of `backends`.
            clock: of all instants.
            backends: know who has which model.
            slots: of the model in this process, where that answers.
        """
        self._settings, self._addresses, self._clock, self._backends = settings, addresses, clock, backends
        self._slots = slots
        self._environ = {f"KEY_{place}": key for place, (_, key) in enumerate(addresses)}
        self._engines: list[Engine] = []

    async def models(self) -> Mapping[str, Hashable]:
        """All that the backends have, each with the backends that have it."""
        if not self._backends.models():
            await self._backends.examine()
        return {model: tuple(self._having(model)) for model in self._backends.models()}

    async def make(self, model: str) -> Service:
        """The service of a model.

        Raises:
            DynasorError: its engine cannot work.
        """
        endpoints = [self._endpoint(place, model) for place in self._having(model)]
        engine = self._over(endpoints)
        self._engines.append(engine)
        if len(endpoints) == 1 or self._settings.reasoning.reward:
            await engine.check()  # else one may be gone: that is found out when it is asked, and another is asked then
        asked = self._settings.reasoning
        limits = Limits(self._slots or asked.requests * len(endpoints), asked.programs)
        return Service(engine, self._clock, limits, make_scheduler(asked.ordering)[0], Overload())

    async def close(self) -> None:
        """Let go of all engines."""
        for engine in self._engines:
            await engine.close()

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
            engine = OpenAIEngine(endpoints[0], environ=self._environ)
        else:
            engine = replicated(*endpoints, environ=self._environ)
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
    wishes = Wishes(asked, algorithm_names())
    hosts = Hosts(engines.models, engines.make)
    return Reasoning(hosts, observed(SessionMaker(asked)), wishes, asked, clock, otherwise, settings.timeouts.idle_s)
