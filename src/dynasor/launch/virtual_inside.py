"""`python -m dynasor.launch.virtual_inside MODEL ARM...`, in the interpreter of vLLM: serves arms twice, prints rows.

Sessions, policies, the scheduler in front, arrivals and the time of a step are the same objects on both sides; what
decides the steps is the simulator's model of an engine on one, and vLLM's own scheduler on the other.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import repeat
from pathlib import Path
from statistics import fmean

import msgspec

from dynasor.bench.virtual_rows import VirtualArm, VirtualRow, VirtualSide
from dynasor.launch.simulating import Machines, arms_of
from dynasor.launch.traffic import Traffic
from dynasor.simulation.arrivals import poisson
from dynasor.simulation.fleet import Fleet
from dynasor.simulation.host import simulate
from dynasor.simulation.models import model_of
from dynasor.simulation.outcome import SimulatedRun, quantile
from dynasor.simulation.plan import PlannedProgram, SimulationPlan
from dynasor.simulation.stepping import Stepping
from dynasor.vllm_plugin.settings import Settings
from dynasor.wiring import make_scheduler

_LONG_S = 1e9  # no program is forgotten before its end


def row(arm: VirtualArm, model: Path, engine: Callable[..., Stepping]) -> VirtualRow:
    """One arm on both sides; `engine` makes the one that vLLM's scheduler decides in, for vLLM is not everywhere."""
    rate = arm.load * _capacity(arm)
    simulated = simulate(_plan(arm, rate, None if arm.inside else arm.front))
    own = _plan(arm, rate, arm.front)
    settings = Settings(ordering=make_scheduler(arm.ordering)[1], memory_s=_LONG_S) if arm.inside else None
    fleet = replace(own.fleet, engine=partial(engine, model=model, settings=settings))
    vllm = simulate(SimulationPlan(own.programs, fleet))
    told, found = _latencies(simulated), _latencies(vllm)
    return VirtualRow(
        arm=arm,
        rate=rate,
        requests=simulated.request_count,
        tokens=sum(program.tokens for program in simulated.rows),
        simulated=_side(simulated),
        vllm=_side(vllm),
        furthest=max(abs(told[id] - found[id]) for id in found) / fmean(found.values()),
    )


def _capacity(arm: VirtualArm) -> float:
    """Programs a second of a burst, with all of the memory."""
    machines = Machines(model=model_of(arm.accelerator), sequences=arm.places, front_limit=arm.front)
    (planned,) = arms_of(_traffic(arm, 0.0), machines, [arm.policy], [arm.ordering])
    return arm.programs / max(program.ended_at for program in simulate(planned.plan).rows)


def _plan(arm: VirtualArm, rate: float, front: int | None) -> SimulationPlan:
    machines = Machines(model=model_of(arm.accelerator), sequences=arm.places, front_limit=front)
    (planned,) = arms_of(_traffic(arm, rate), machines, [arm.policy], [arm.ordering])
    programs = list(planned.plan.programs)
    return SimulationPlan(programs, _tight(planned.plan.fleet, arm.room, programs))


def _tight(fleet: Fleet, room: int | None, programs: list[PlannedProgram]) -> Fleet:
    if room is None:
        return fleet
    longest = max(one.prompt_tokens + max(sample.tokens for sample in one.samples) for one in programs)
    blocks = -(-longest // fleet.block_tokens) * room
    return replace(fleet, cache_tokens=blocks * fleet.block_tokens)


def _traffic(arm: VirtualArm, rate: float) -> Traffic:
    return Traffic(
        trace=arm.trace,
        arrivals=lambda: poisson(rate, arm.seed) if rate else repeat(0.0),
        programs=arm.programs,
        cap=arm.cap,
        in_flight=arm.in_flight,
        seed=arm.seed,
    )


def _latencies(run: SimulatedRun) -> dict[str, float]:
    return {program.program: program.latency_s for program in run.rows}


def _side(run: SimulatedRun) -> VirtualSide:
    latencies = sorted(_latencies(run).values())
    return VirtualSide(
        mean_s=fmean(latencies),
        p90_s=quantile(latencies, 0.9),
        steps=run.work.steps,
        preemptions=run.work.preemptions,
        hit_share=run.work.hit_tokens / max(1, run.work.asked_tokens),
    )


def rows(model: str, arms: list[str], engine: Callable[..., Stepping]) -> Iterator[VirtualRow]:
    """Every arm, as it is done."""
    for text in arms:
        yield row(msgspec.json.decode(text, type=VirtualArm), Path(model), engine)


if __name__ == "__main__":
    from dynasor.bench.virtual_engine import VirtualEngine

    for found in rows(sys.argv[1], sys.argv[2:], VirtualEngine):
        sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
        sys.stdout.buffer.flush()
