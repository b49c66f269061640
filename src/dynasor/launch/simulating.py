"""Options to simulated runs that are ready to go: every policy under every ordering, on the same traffic."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dynasor.allocation.overload import Overload
from dynasor.errors import UsageError
from dynasor.launch.ordering import ordering_of
from dynasor.launch.probed_traffic import ProbedWorkload, probes
from dynasor.launch.traffic import Traffic, Workload
from dynasor.simulation.fleet import Fault, Fleet
from dynasor.simulation.limits import Limits
from dynasor.simulation.models import Model
from dynasor.simulation.plan import SimulationPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """What serves.

    Attributes:
        memory: the share of the accelerator's memory for keys and values that there is.
        sequences, step_tokens: what the engine is started with; None: as the model says.
        front_limit: schedule in front of engines that hold so many requests; None: inside them.
        keeps_live: evict prefixes of live programs last.
    """

    model: Model
    replicas: int = 1
    memory: float = 1.0
    sequences: int | None = None
    step_tokens: int | None = None
    front_limit: int | None = None
    keeps_live: bool = True
    faults: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a memory of nothing."""
        if not self.memory > 0:
            raise UsageError(f"the memory is {self.memory} of the accelerator's; it must be above 0")

    def fleet(self, ordering: str, workload: Workload | ProbedWorkload) -> Fleet:
        """These machines under an ordering."""
        model = self.model
        limits = Limits(self.sequences or model.limits.sequences, self.step_tokens or model.limits.step_tokens)
        return Fleet(
            cost=model.cost,
            cache_tokens=int(model.cache_tokens * self.memory),
            ordering=ordering_of(ordering, workload),
            limits=limits,
            replicas=self.replicas,
            front_limit=self.front_limit,
            keeps_live=self.keeps_live,
            request_s=model.request_s,
            entry_s=model.entry_s,
            block_tokens=model.block_tokens,
            shares_prefixes=model.shares_prefixes,
            faults=self.faults,
        )


@dataclass(frozen=True, slots=True)
class Arm:
    """One of the runs that are compared.

    Attributes:
        name: what tells it from the others.
        policy: its canonical specification.
    """

    name: str
    policy: str
    ordering: str
    plan: SimulationPlan


def arms_of(
    traffic: Traffic, machines: Machines, policies: Iterable[str | None], orderings: Iterable[str]
) -> Iterator[Arm]:
    """Every policy under every ordering; None is the default policy of the algorithm.

    Raises:
        UsageError: for whatever cannot be.
    """
    policies, orderings, probing = list(policies), list(orderings), probes(traffic.algorithm)
    for policy in policies:
        workload = Workload(traffic, policy) if probing is None else ProbedWorkload(traffic, probing, policy)
        for ordering in orderings:
            name = ordering if len(policies) == 1 else f"{ordering}, {policy or 'default'}"
            yield Arm(name, workload.policy, ordering, _plan(traffic, workload, machines.fleet(ordering, workload)))


def _plan(traffic: Traffic, workload: Workload | ProbedWorkload, fleet: Fleet) -> SimulationPlan:
    """Programs that are due ask an overload of their own run."""
    if not traffic.due:
        return SimulationPlan(workload, fleet)
    overload = Overload()
    return SimulationPlan(workload.under(overload), fleet, overload)
