"""How fast the simulator is: sessions, scheduler and accelerators together, by the number of requests.

The load is made, not recorded: programs of 20 branches of about so many tokens, which agree more or less.
"""

import resource
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import msgspec

from dynasor.answers.grouping import ByText
from dynasor.clock import Clock
from dynasor.datasets.problem import Problem
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.request import Sample
from dynasor.scheduling.specification import make_ordering
from dynasor.simulation.arrivals import poisson
from dynasor.simulation.fleet import Fleet
from dynasor.simulation.host import simulate
from dynasor.simulation.models import model_of
from dynasor.simulation.plan import PlannedProgram, SimulationPlan
from dynasor.wiring import make_policy, session_maker

BRANCHES = 20
PROMPT_TOKENS = 128
TOKENS_PER_S = 7200
"""That come to a replica in answers, on average: about eight tenths of what it can do."""


@dataclass(frozen=True, slots=True)
class SpeedPlan:
    """What is simulated.

    Attributes:
        requests: about so many, in programs of 20 each.
        answer_tokens: of a branch, on average.
        policy: `even`, so that the number of requests is known.
    """

    requests: int
    replicas: int = 1
    answer_tokens: int = 200
    policy: str = "even"
    ordering: str = "dynasor"
    accelerator: str = "a100-llama-8b"


class SpeedRow(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, and by the second of processor time, which other work on the machine does not add to.

    Attributes:
        s: wall time.
        cpu_s: of the processor, user and system.
        virtual_s: what passed in the simulation.
    """

    requests: int
    replicas: int
    answer_tokens: int
    ordering: str
    s: float
    cpu_s: float
    virtual_s: float
    steps: int
    tokens: int
    steps_per_s: float
    tokens_per_s: float
    us_per_request: float


def measure_speed(plan: SpeedPlan, clock: Clock) -> SpeedRow:
    """Run it once; programs are made as they come, which is part of the time."""
    model = model_of(plan.accelerator)
    ordering, _ = make_ordering(plan.ordering, lambda waiting: 0)
    fleet = Fleet(
        cost=model.cost,
        cache_tokens=model.cache_tokens,
        ordering=lambda cached_tokens: ordering,
        limits=model.limits,
        replicas=plan.replicas,
    )
    began, cpu_began = clock.now(), _cpu_s()
    run = simulate(SimulationPlan(_programs(plan), fleet))
    took, cpu = clock.now() - began, _cpu_s() - cpu_began
    work = run.work
    return SpeedRow(
        requests=run.request_count,
        replicas=plan.replicas,
        answer_tokens=plan.answer_tokens,
        ordering=plan.ordering,
        s=took,
        cpu_s=cpu,
        virtual_s=run.duration_s,
        steps=work.steps,
        tokens=work.output_tokens,
        steps_per_s=work.steps / cpu,
        tokens_per_s=work.output_tokens / cpu,
        us_per_request=1e6 * cpu / run.request_count,
    )


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _programs(plan: SpeedPlan) -> Iterator[PlannedProgram]:
    policy, _ = make_policy(plan.policy)
    session = session_maker(SelfConsistency, Setup(cap=BRANCHES, grouping=ByText), policy, in_flight=False)
    rng = Random("simulator speed")
    arrivals = poisson(TOKENS_PER_S / (BRANCHES * plan.answer_tokens) * plan.replicas, 0)
    for number in range(plan.requests // BRANCHES):
        problem = Problem(f"p{number}", "?")
        samples = [Sample(rng.choice("aaab"), rng.randint(1, 2 * plan.answer_tokens)) for _ in range(BRANCHES)]
        yield PlannedProgram(
            arrives_at=next(arrivals),
            session=lambda problem=problem: session(problem),  # type: ignore[misc]
            samples=samples,
            prompt_tokens=PROMPT_TOKENS,
        )
