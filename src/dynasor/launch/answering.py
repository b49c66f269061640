"""Who answers the calls of a gateway, in which turn, and who counts them: joined here from its settings."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from dynasor.clock import Clock
from dynasor.gateway.admission import Admission
from dynasor.gateway.backends import Backends
from dynasor.gateway.call import Call
from dynasor.gateway.client_programs import ClientPrograms
from dynasor.gateway.draining import Draining
from dynasor.gateway.keys import Doorkeeper, Everybody, Keys
from dynasor.gateway.logs import ExchangeLog, Fields
from dynasor.gateway.observation import Observation
from dynasor.gateway.patience import Patience
from dynasor.gateway.plain import PassOn
from dynasor.gateway.program_counts import ProgramCounts
from dynasor.gateway.reasoning import Reasoning
from dynasor.gateway.request_counts import RequestCounts
from dynasor.gateway.settings import GatewaySettings
from dynasor.gateway.tracing import Tracing
from dynasor.gateway.turns import Turns
from dynasor.launch.backing import Backing
from dynasor.launch.batching import Parts
from dynasor.launch.reasoning_engines import Engines, make_reasoning
from dynasor.wiring import make_scheduler


@dataclass(frozen=True, slots=True)
class Core:
    """What every request goes by, whoever answers it.

    Attributes:
        places: requests at the backends at one time.
    """

    settings: GatewaySettings
    clock: Clock
    backends: Backends
    admission: Admission
    draining: Draining
    door: Doorkeeper
    places: int


def make_core(settings: GatewaySettings, backing: Backing, clock: Clock) -> Core:
    """Join what every request goes by.

    Raises:
        UsageError: a setting cannot be.
    """
    turns = Turns(backing.most, lambda: make_scheduler(settings.ordering)[0])
    admission = Admission(turns, ClientPrograms(turns, settings.program_idle_s), clock)
    backends = Backends(backing.upstreams, clock)
    return Core(settings, clock, backends, admission, Draining(), door_of(settings), backing.most)


@dataclass(frozen=True, slots=True)
class Answering:
    """Who answers, and who follows it.

    Attributes:
        core: what these calls have gone by.
        answer: a call whose turn has come.
        served, ran: count requests and programs.
    """

    core: Core
    engines: Engines
    patience: Patience
    reasoning: Reasoning
    answer: Callable[[Call], Awaitable[None]]
    observation: Observation
    served: RequestCounts
    ran: ProgramCounts

    @property
    def parts(self) -> Parts:
        """What batches go through."""
        core, observed = self.core, self.observation
        return Parts(
            self.answer, self.turn, core.admission, core.door, core.draining, observed, core.clock, core.places
        )

    def turn(self, call: Call) -> AbstractAsyncContextManager[None]:
        """What takes turns: a call that is passed on, or else each branch of the program that answers it."""
        admission = self.core.admission
        return admission.visit(call) if self.reasoning.asks(call) else admission.turn(call)


def make_answering(
    core: Core, backing: Backing, tracing: Tracing | None, log: Callable[[Fields], None] | None
) -> Answering:
    """Join who answers.

    Args:
        core: what every call goes by.
        backing: what answers in the end.
        tracing: follows calls; None: nothing does.
        log: writes a line; None: there is no log.

    Raises:
        UsageError: a setting cannot be.
    """
    settings, clock, backends = core.settings, core.clock, core.backends
    patience = Patience(clock, min(settings.timeouts.first_token_s, settings.timeouts.idle_s))
    engines = Engines(settings, backing.addresses, core.admission, backends, slots=backing.slots, attempts=tracing)
    served = RequestCounts(backends.serves)
    ran = ProgramCounts(settings.reasoning, clock)
    reasoning = make_reasoning(settings, engines, clock, PassOn(backends, settings.timeouts, patience), ran.sessions)
    reasoning.hosts.listeners.append(ran.take)
    observation = Observation(clock, served.take, *([] if log is None else [ExchangeLog(log).take]))
    if tracing is not None:
        tracing.follow(reasoning, observation)
    answer = reasoning if tracing is None else tracing.answer(reasoning)
    return Answering(core, engines, patience, reasoning, answer, observation, served, ran)


def door_of(settings: GatewaySettings) -> Doorkeeper:
    """Who may come in.

    Raises:
        UsageError: a tenant or the host cannot be.
    """
    if any(tenant.key_hashes for tenant in settings.tenants):
        return Keys(settings.tenants)
    return Everybody(settings.host)
