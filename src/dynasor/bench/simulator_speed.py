"""How fast the simulator is: sessions, scheduler and accelerators together, by the number of requests.

The load is made, not recorded: programs of 20 branches of about so many tokens, which agree more or less. The engine
alone, which is what other simulators are measured by, gets the same requests without programs.
"""

import resource
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random

import msgspec

from dynasor.answers.grouping import ByText
from dynasor.clock import Clock
from dynasor.datasets.problem import Problem
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.request import ProgramId, RequestId, Sample
from dynasor.scheduling.specification import make_ordering
from dynasor.simulation.accelerator import Accelerator
from dynasor.simulation.arrivals import poisson
from dynasor.simulation.fleet import Fleet
from dynasor.simulation.host import simulate
from dynasor.simulation.kernel import Kernel, picoseconds
from dynasor.simulation.kv_cache import KvCache
from dynasor.simulation.models import model_of
from dynasor.simulation.plan import PlannedProgram, SimulationPlan
from dynasor.simulation.replica import Replica
from dynasor.simulation.requests import Served, SimulatedRequest
from dynasor.simulation.station import Work
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
        alone: only the engine, which is first come, first served; no sessions, no scheduler.
    """

    requests: int
    replicas: int = 1
    answer_tokens: int = 200
    policy: str = "even"
    ordering: str = "dynasor"
    accelerator: str = "a100-llama-8b"
    alone: bool = False


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
    alone: bool
    s: float
    cpu_s: float
    virtual_s: float
    steps: int
    tokens: int
    steps_per_s: float
    tokens_per_s: float
    us_per_request: float


def measure_speed(plan: SpeedPlan, clock: Clock) -> SpeedRow:
    """Run it once; what comes is made as it comes, which is part of the time."""
    began, cpu_began = clock.now(), _cpu_s()
    requests, work, virtual_s = _alone(plan) if plan.alone else _whole(plan)
    took, cpu = clock.now() - began, _cpu_s() - cpu_began
    return SpeedRow(
        requests=requests,
        replicas=plan.replicas,
        answer_tokens=plan.answer_tokens,
        ordering="fcfs" if plan.alone else plan.ordering,
        alone=plan.alone,
        s=took,
        cpu_s=cpu,
        virtual_s=virtual_s,
        steps=work.steps,
        tokens=work.output_tokens,
        steps_per_s=work.steps / cpu,
        tokens_per_s=work.output_tokens / cpu,
        us_per_request=1e6 * cpu / requests,
    )


def _whole(plan: SpeedPlan) -> tuple[int, Work, float]:
    model = model_of(plan.accelerator)
    ordering, _ = make_ordering(plan.ordering, lambda waiting: 0)
    fleet = Fleet(
        cost=model.cost,
        cache_tokens=model.cache_tokens,
        ordering=lambda cached_tokens: ordering,
        limits=model.limits,
        replicas=plan.replicas,
    )
    run = simulate(SimulationPlan(_programs(plan), fleet))
    return run.request_count, run.work, run.duration_s


def _alone(plan: SpeedPlan) -> tuple[int, Work, float]:
    """Gangs of requests go to the replicas in turns."""
    model, kernel, total = model_of(plan.accelerator), Kernel(), Work()
    engines = [
        Accelerator(model.cost, KvCache(model.cache_tokens // model.block_tokens, model.block_tokens), model.limits)
        for _ in range(plan.replicas)
    ]
    ended: list[Served] = []
    replicas = [Replica(kernel, engine, ended.append) for engine in engines]
    coming = iter(_gangs(plan))

    def come() -> None:
        for number, gang in islice(coming, 1):
            for request in gang:
                replicas[number % plan.replicas].submit(request)
            kernel.at(picoseconds(next(arrivals)), come)

    arrivals = _arrivals(plan)
    kernel.at(picoseconds(next(arrivals)), come)
    kernel.run()
    for engine in engines:
        total.add(engine)
    return len(ended), total, kernel.now_s


def _gangs(plan: SpeedPlan) -> Iterator[tuple[int, list[SimulatedRequest]]]:
    rng = Random("simulator speed")
    for number in range(plan.requests // BRANCHES):
        program = ProgramId(f"p{number}")
        yield (
            number,
            [
                SimulatedRequest(
                    id=RequestId(program, branch),
                    prompt_tokens=PROMPT_TOKENS,
                    output_tokens=rng.randint(1, 2 * plan.answer_tokens),
                    prefix=program,
                    prefix_tokens=PROMPT_TOKENS,
                )
                for branch in range(BRANCHES)
            ],
        )


def _arrivals(plan: SpeedPlan) -> Iterator[float]:
    return poisson(TOKENS_PER_S / (BRANCHES * plan.answer_tokens) * plan.replicas, 0)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _programs(plan: SpeedPlan) -> Iterator[PlannedProgram]:
    policy, _ = make_policy(plan.policy)
    session = session_maker(SelfConsistency, Setup(cap=BRANCHES, grouping=ByText), policy, in_flight=False)
    rng = Random("simulator speed")
    arrivals = _arrivals(plan)
    for number in range(plan.requests // BRANCHES):
        problem = Problem(f"p{number}", "?")
        samples = [Sample(rng.choice("aaab"), rng.randint(1, 2 * plan.answer_tokens)) for _ in range(BRANCHES)]
        yield PlannedProgram(
            arrives_at=next(arrivals),
            session=lambda problem=problem: session(problem),  # type: ignore[misc]
            samples=samples,
            prompt_tokens=PROMPT_TOKENS,
        )
