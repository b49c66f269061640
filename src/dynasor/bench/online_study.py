"""The points of the online evaluation, and how they are measured: one by one, what is done is kept.

A ladder is the points of one arm and seed at rising rates; it ends where too few programs are in time. It knows no
host: whoever can serve a point gives its row.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field

from dynasor.bench.online_arms import ARMS, DYNASOR, MAIN, REMEMBERING, Arm, arm_of
from dynasor.bench.online_rows import Facts, OnlineRow, Point, Rows
from dynasor.bench.online_runs import Source, measure_facts, measure_point
from dynasor.bench.online_workloads import online_workload
from dynasor.wiring import make_scheduler

LOADS = (0.8, 0.9, 1.0, 1.1, 1.3, 1.7, 2.2, 2.8, 3.6)
FIXED = (0.9, 1.1)
"""Loads at which all arms are measured, however late they are."""

MEMORIES = (0.3, 0.5, 0.7, 0.9)
CAPS = (5, 10, 20, 30)
CAPS_AT = 0.9
"""The load of the runs at other caps, and with less memory, which is the same rate for all of them."""

SCALES = (0.25, 0.45, 0.7, 1.4)
"""At which arms that look at deadlines are measured anew; those that do not are judged at every scale from one run."""

FLOOR = 0.85
"""A ladder ends where fewer are in time."""

NO_HINTS = "Dynasor, evicting the least recent"

Host = Callable[[Point, Source, Facts], OnlineRow]
"""Serves the programs of a point: the simulator, or a live engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlinePlan:
    """What to measure.

    Attributes:
        sources: recordings.
        programs: how many come in a run of each; the last number also counts for those beyond.
        arms: their names.
    """

    sources: tuple[str, ...]
    programs: tuple[int, ...] = (300, 120, 300)
    arms: tuple[str, ...] = tuple(arm.name for arm in ARMS)
    accelerator: str = "a100-llama-8b"
    cap: int = 20
    seeds: int = 5
    loads: tuple[float, ...] = LOADS
    fixed: tuple[float, ...] = FIXED
    caps: tuple[int, ...] = CAPS
    memories: tuple[float, ...] = MEMORIES
    scales: tuple[float, ...] = SCALES
    workers: int = 2

    @property
    def most(self) -> int:
        """Samples that every problem must have."""
        return max((self.cap, *self.caps))

    def source(self, place: int) -> Source:
        """One of the recordings."""
        return Source(self.sources[place], self.most)


@dataclass(slots=True)
class Ladder:
    """Points that are measured one after another, on one workload."""

    source: Source
    facts: Facts
    points: deque[Point]

    def next(self, known: dict[Point, OnlineRow]) -> Point | None:
        """The first that is not known; None at the end, and below one at which too few were in time."""
        while self.points:
            point = self.points[0]
            if point not in known:
                return point
            self.points.popleft()
            if known[point].attainment < FLOOR:
                self.points.clear()
        return None


@dataclass(slots=True)
class OnlineStudy:
    """A plan, and what is known of it."""

    plan: OnlinePlan
    rows: Rows
    host: Host = measure_point
    facts: list[Facts] = field(default_factory=list)

    def prepare(self) -> None:
        """Find out what the workloads are, where that is not known.

        Raises:
            UsageError: for a recording that cannot be replayed.
        """
        plan, self.facts = self.plan, []
        for place in range(len(plan.sources)):
            source = plan.source(place)
            workload = online_workload(source.path, source.most)
            key = workload.name, workload.digest, plan.accelerator, plan.cap
            if key not in self.rows.facts:
                self.rows.add(measure_facts(source, plan.accelerator, plan.cap, _programs(plan, place)))
            self.facts.append(self.rows.facts[key])

    def ladders(self) -> list[Ladder]:
        """All that the plan asks for: the rates, then the rest, seed by seed."""
        plan, found = self.plan, []
        for groups in ((_rates, _fixed), (_scales, _memories, _caps)):
            for seed in range(plan.seeds):
                for place, facts in enumerate(self.facts):
                    base = _Base(plan, place, facts, seed)
                    found += [
                        Ladder(plan.source(place), facts, deque(points)) for group in groups for points in group(base)
                    ]
        return found

    def run(self) -> Iterator[OnlineRow]:
        """Measure what is not known, and keep each row as it comes."""
        waiting = deque(self.ladders())
        running: dict[Future[OnlineRow], tuple[Point, Ladder]] = {}
        with ProcessPoolExecutor(self.plan.workers) as pool:
            while self._fill(pool, waiting, running):
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for job in done:
                    self.rows.add(row := job.result())
                    waiting.appendleft(running.pop(job)[1])
                    yield row

    def _fill(
        self, pool: Executor, waiting: deque[Ladder], running: dict[Future[OnlineRow], tuple[Point, Ladder]]
    ) -> bool:
        """Give every process a point; a ladder whose next point runs already waits for it. Returns whether any runs."""
        under_way = {point for point, _ in running.values()}
        for _ in range(len(waiting)):
            if len(running) == self.plan.workers:
                break
            ladder = waiting.popleft()
            point = ladder.next(self.rows.points)
            if point in under_way:
                waiting.append(ladder)
            elif point is not None:
                under_way.add(point)
                running[pool.submit(self.host, point, ladder.source, ladder.facts)] = point, ladder
        return bool(running)

    def mine(self) -> list[OnlineRow]:
        """The rows that the plan asks for."""
        asked = {point for ladder in self.ladders() for point in ladder.points}
        return [row for point, row in self.rows.points.items() if point in asked]


@dataclass(frozen=True, slots=True)
class _Base:
    plan: OnlinePlan
    place: int
    facts: Facts
    seed: int

    @property
    def arms(self) -> list[Arm]:
        return [arm_of(name) for name in self.plan.arms]

    def point(
        self,
        arm: Arm,
        load: float,
        *,
        cap: int | None = None,
        memory: float = 1.0,
        hints: bool = True,
        scale: float = 1.0,
    ) -> Point:
        return Point(
            workload=self.facts.workload,
            digest=self.facts.digest,
            accelerator=self.plan.accelerator,
            arm=arm.name,
            ordering=canonical(arm.ordering),
            allocation=arm.allocation,
            in_flight=arm.in_flight,
            due=arm.due,
            seed=self.seed,
            programs=_programs(self.plan, self.place),
            cap=cap or self.plan.cap,
            load=load,
            memory=memory,
            hints=hints,
            scale=scale,
        )


def canonical(ordering: str) -> str:
    """The ordering as it is written in full."""
    return make_scheduler(ordering)[1]


def _programs(plan: OnlinePlan, place: int) -> int:
    return plan.programs[min(place, len(plan.programs) - 1)]


def _rates(base: _Base) -> Iterator[Sequence[Point]]:
    for arm in base.arms:
        yield [base.point(arm, load) for load in base.plan.loads]


def _fixed(base: _Base) -> Iterator[Sequence[Point]]:
    for arm in base.arms:
        yield from ([base.point(arm, load)] for load in base.plan.fixed)


def _scales(base: _Base) -> Iterator[Sequence[Point]]:
    for arm in base.arms:
        if arm.due:
            yield from ([base.point(arm, at, scale=scale)] for at in base.plan.fixed for scale in base.plan.scales)


def _memories(base: _Base) -> Iterator[Sequence[Point]]:
    for arm in base.arms:
        if arm.name in REMEMBERING:
            for memory in base.plan.memories:
                yield [base.point(arm, CAPS_AT, memory=memory)]
                if arm.name == DYNASOR:
                    yield [base.point(arm, CAPS_AT, memory=memory, hints=False)]


def _caps(base: _Base) -> Iterator[Sequence[Point]]:
    for arm in base.arms:
        if arm.name in MAIN:
            yield from ([base.point(arm, CAPS_AT, cap=cap)] for cap in base.plan.caps)
