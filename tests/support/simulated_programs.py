"""Simulated programs, fleets and runs, with few words."""

from collections.abc import Callable, Iterable, Sequence

from dynasor.datasets.problem import Problem
from dynasor.programs.program import Program, Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.request import Sample
from dynasor.scheduling.fcfs import Fcfs
from dynasor.scheduling.ordering import Ordering
from dynasor.simulation.cost import Linear
from dynasor.simulation.fleet import Fleet
from dynasor.simulation.limits import Limits
from dynasor.simulation.outcome import SimulatedRun
from dynasor.simulation.plan import PlannedProgram, SimulationPlan
from dynasor.wiring import make_policy, session_maker

TICK = Linear(step_s=1.0, sequence_s=0.0, prompt_token_s=0.0, kv_token_s=0.0)
"""Every step takes a second, whatever is in it."""


def planned(
    name: str,
    at_s: float,
    tokens: Sequence[int],
    *,
    policy: str = "even",
    answers: Sequence[str | None] | None = None,
    in_flight: bool = False,
    prompt: int = 1,
    deadline: float | None = None,
    algorithm: type[Program] = SelfConsistency,
    cap: int | None = None,
) -> PlannedProgram:
    """Self-consistency over branches of so many tokens, which answer "a" unless told otherwise."""
    samples = [Sample(answer, count) for answer, count in zip(answers or ["a"] * len(tokens), tokens, strict=True)]
    made, _ = make_policy(policy)
    session = session_maker(algorithm, Setup(cap=cap or len(tokens)), made, in_flight=in_flight)
    return PlannedProgram(
        arrives_at=at_s,
        session=lambda: session(Problem(name, "?")),
        samples=samples,
        prompt_tokens=prompt,
        deadline=deadline,
        even_tokens=sum(tokens),
        correct=lambda answer: float(answer == "a"),
    )


def fleet(
    ordering: Ordering | None = None, *, sequences: int = 2, cache_tokens: int = 10_000, **settings: object
) -> Fleet:
    """One accelerator whose steps take a second."""
    of: Callable[[object], Ordering] = lambda cached_tokens: ordering or Fcfs()  # noqa: E731
    return Fleet(
        cost=TICK,
        cache_tokens=cache_tokens,
        ordering=of,
        limits=Limits(sequences, 4096),
        **settings,  # type: ignore[arg-type]
    )


def plan(programs: Iterable[PlannedProgram], machines: Fleet) -> SimulationPlan:
    return SimulationPlan(list(programs), machines)


def ends(run: SimulatedRun) -> dict[str, float]:
    """When each program was answered."""
    return {row.program: row.ended_at for row in run.rows}
