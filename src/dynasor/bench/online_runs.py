"""One point of the online evaluation in the simulator: programs come, are served, and are judged by their deadlines.

Another host is another function from a point to a row; see `online_study.Host`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, repeat
from statistics import fmean

from dynasor.allocation.allocator import InRounds
from dynasor.allocation.overload import Overload
from dynasor.answers.grouping import ByText
from dynasor.bench.online_arms import CERTAIN, DECIDED, EVEN, LASTING, LOSSLESS
from dynasor.bench.online_choice import chosen_threshold, specification
from dynasor.bench.online_rows import SHARES, Facts, OnlineRow, Point
from dynasor.bench.online_workloads import (
    CHARACTERS_PER_TOKEN,
    Workload,
    online_workload,
    sample_tokens,
    shares,
    single_accuracy,
)
from dynasor.datasets.problem import Problem, judge
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.session import Session
from dynasor.scheduling.estimate import Kind
from dynasor.scheduling.specification import make_ordering
from dynasor.simulation.arrivals import poisson
from dynasor.simulation.fleet import Fleet
from dynasor.simulation.host import simulate
from dynasor.simulation.models import model_of
from dynasor.simulation.outcome import ProgramRow, SimulatedRun, quantile
from dynasor.simulation.plan import PlannedProgram, SimulationPlan
from dynasor.wiring import make_policy, session_maker, session_of

BASE = 4.0
"""The base deadline, in times of what a program takes alone. The paper's for SC on MATH, 240 s, is about that."""

_DEADLINE = "deadline"
_MIDDLE = (0.1, 0.9)  # of the programs of a burst: neither the queue that fills nor the one that runs empty
_ALONE = 30


@dataclass(frozen=True, slots=True)
class Source:
    """Where a workload's recordings are.

    Attributes:
        most: samples that every problem must have: the largest of all caps.
    """

    path: str
    most: int


def measure_facts(source: Source, accelerator: str, cap: int, programs: int) -> Facts:
    """What even allocation can do with a workload, and what a program takes alone."""
    workload = online_workload(source.path, source.most)
    burst = _Run(workload, _plain(workload, accelerator, cap, programs), "even", 1.0)
    ends = sorted(row.ended_at for row in burst.run(repeat(0.0)).rows)
    first, last = (int(share * len(ends)) for share in _MIDDLE)
    alone = _Run(workload, _plain(workload, accelerator, cap, _ALONE), "even", 1.0)
    alone_s = fmean(row.latency_s for row in alone.run(float(10_000 * place) for place in range(_ALONE)).rows)
    return Facts(
        workload=workload.name,
        digest=workload.digest,
        accelerator=accelerator,
        cap=cap,
        problems=len(workload.recordings),
        samples_tokens=sample_tokens(workload.recordings),
        single_accuracy=single_accuracy(workload.recordings),
        capacity=(last - first) / (ends[last] - ends[first]),
        alone_s=alone_s,
        base_s=BASE * alone_s,
        shares=shares(workload.recordings),
        factors=workload.factors,
    )


def measure_point(point: Point, source: Source, facts: Facts) -> OnlineRow:
    """Serve the programs of a point."""
    workload = online_workload(source.path, source.most)
    policy = _policy(point, source, facts.cap)
    rate = point.load * facts.capacity
    served = _Run(workload, point, policy, facts.base_s).run(poisson(rate, point.seed))
    return _row(point, rate, make_policy(policy)[1], served)


def _plain(workload: Workload, accelerator: str, cap: int, programs: int) -> Point:
    return Point(
        workload=workload.name,
        digest=workload.digest,
        accelerator=accelerator,
        arm="",
        ordering="gang",
        allocation=EVEN,
        in_flight=False,
        due=False,
        seed=0,
        programs=programs,
        cap=cap,
        load=0.0,
    )


def _policy(point: Point, source: Source, cap: int) -> str:
    if point.allocation in (EVEN, LOSSLESS, LASTING):
        return point.allocation
    threshold = chosen_threshold(source.path, source.most, cap, point.seed, in_flight=point.in_flight)
    if threshold is None:
        return {CERTAIN: EVEN, DECIDED: LOSSLESS}[point.allocation]
    chosen = specification(threshold, point.cap)
    return {CERTAIN: chosen, DECIDED: f"decided+{chosen}"}[point.allocation]


class _Run:
    """The programs of a point, ready to come."""

    def __init__(self, workload: Workload, point: Point, policy: str, base_s: float) -> None:
        self._workload, self._point, self._base_s = workload, point, base_s
        self._setup = Setup(cap=point.cap, grouping=ByText, seed=point.seed)
        self._policy, _ = make_policy(policy)
        self._overload = Overload()
        self._ordinary = session_maker(SelfConsistency, self._setup, self._policy, in_flight=point.in_flight)
        self._coming = [workload.coming(point.seed, number) for number in range(point.programs)]

    def run(self, arrivals: Iterator[float]) -> SimulatedRun:
        """Serve them all."""
        overload = self._overload if self._point.due else None
        return simulate(SimulationPlan(list(self._programs(arrivals)), self._fleet(), overload))

    def _programs(self, arrivals: Iterator[float]) -> Iterator[PlannedProgram]:
        for (recording, problem, samples), instant in zip(
            self._coming, islice(arrivals, len(self._coming)), strict=True
        ):
            within_s = self._point.scale * self._workload.factor(recording) * self._base_s
            text = self._setup.prompt.fill(problem.question)
            characters = sum(len(turn if isinstance(turn, str) else turn.content) for turn in text)
            yield PlannedProgram(
                arrives_at=instant,
                session=self._session(problem, within_s),
                samples=samples,
                prompt_tokens=max(1, characters // CHARACTERS_PER_TOKEN),
                deadline=instant + within_s,
                kind=Kind("sc", self._workload.name),
                even_tokens=sum(sample.tokens for sample in samples[: self._point.cap]),
                correct=_judged(problem),
            )

    def _session(self, problem: Problem, within_s: float) -> Callable[[], Session]:
        if not self._point.due:
            return lambda: self._ordinary(problem)
        due = session_of(
            SelfConsistency,
            self._setup,
            lambda program: self._overload.due(program.id, within_s, InRounds(self._policy)),
        )
        return lambda: due(problem)

    def _fleet(self) -> Fleet:
        model = model_of(self._point.accelerator)
        return Fleet(
            cost=model.cost,
            cache_tokens=int(model.cache_tokens * self._point.memory),
            ordering=lambda cached_tokens: make_ordering(self._point.ordering, cached_tokens)[0],
            limits=model.limits,
            keeps_live=self._point.hints,
            request_s=model.request_s,
            entry_s=model.entry_s,
            block_tokens=model.block_tokens,
            shares_prefixes=model.shares_prefixes,
        )


def _judged(problem: Problem) -> Callable[[str | None], float | None]:
    return lambda answer: judge(problem, answer)


def _row(point: Point, rate: float, policy: str, run: SimulatedRun) -> OnlineRow:
    summary = run.summary()
    needed = sorted(point.scale * row.latency_s / _within_s(row) for row in run.rows)
    fairness = sorted(1000 * row.latency_s / (row.even_tokens or 1) for row in run.rows)
    return OnlineRow(
        point=point,
        rate=rate,
        policy=policy,
        attainment=float(summary["slo_attainment"] or 0.0),
        accuracy=float(summary["accuracy"] or 0.0),
        mean_s=_kept(summary["mean_s"]),
        p50_s=_kept(summary["p50_s"]),
        p90_s=_kept(summary["p90_s"]),
        p99_s=_kept(summary["p99_s"]),
        tokens=_kept(summary["tokens_per_program"]),
        tokens_per_s=_kept(summary["tokens_per_s"]),
        utilisation=_kept(summary["utilisation"]),
        prefix_hit_rate=_kept(summary["prefix_hit_rate"]),
        preemptions=run.work.preemptions,
        less=fmean(row.stopped_by == _DEADLINE for row in run.rows),
        needed=[_kept(quantile(needed, share)) for share in SHARES],
        fairness=[_kept(quantile(fairness, tenth / 10)) for tenth in range(1, 11)],
    )


def _within_s(row: ProgramRow) -> float:
    return (row.deadline or 0.0) - row.arrived_at


def _kept(value: float | None) -> float:
    """Five digits: a row is of one run, and says nothing beyond."""
    return float(f"{value or 0.0:.5g}")
