"""The points of the online evaluation on a real engine: calibrated first, then one by one, the arms in turns.

What is done is kept, and not measured again. It knows no server: points are served by a `Station`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from dynasor.bench.online_arms import EVEN
from dynasor.bench.online_live_arms import ARMS, FCFS, live_arm
from dynasor.bench.online_live_rows import LiveFacts, LivePoint, LiveRow, LiveRows
from dynasor.bench.online_live_run import Station, measure
from dynasor.bench.online_live_workload import LiveWorkload
from dynasor.bench.online_runs import BASE
from dynasor.clock import Clock
from dynasor.wiring import make_policy, make_scheduler

LOADS = (0.7, 0.9, 1.1, 1.4, 1.8, 2.4)
FIXED = (0.9, 1.1)
"""Loads at which all arms are measured, however late they are."""

FLOOR = 0.85
"""An arm is not measured at greater loads once fewer are in time."""

_BURST, _ALONE = 60, 10  # programs
_MIDDLE = (0.1, 0.9)  # of the programs of a burst: neither the queue that fills nor the one that runs empty
_SHARE = 0.6  # of the tokens of even allocation that other policies are expected to take, for the estimate of the time
_BETWEEN_S = 3.0  # two points
_QUIET = 0.1  # of the time of the thread that computes: beyond, other work is in its way
_ALIKE = 0.15  # of the capacity: as far apart may two measurements of it be

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePlan:
    """What to measure.

    Attributes:
        source: a recording of the problems that come, which tells how difficult they are.
        slots: sequences that the engine computes at a time.
        burst, alone: programs of the calibration.
    """

    source: str
    arms: tuple[str, ...] = tuple(arm.name for arm in ARMS)
    programs: int = 200
    cap: int = 20
    seeds: int = 3
    slots: int = 64
    loads: tuple[float, ...] = LOADS
    fixed: tuple[float, ...] = FIXED
    burst: int = _BURST
    alone: int = _ALONE


class LiveStudy:
    """A plan, and what is known of it.

    Attributes:
        facts: of the calibration; None before.
    """

    def __init__(self, plan: LivePlan, rows: LiveRows, journals: Path) -> None:
        self.plan, self.rows = plan, rows
        self.workload = LiveWorkload(plan.source, plan.cap)
        self._journals = journals
        self._policies: dict[tuple[str, int], str] = {}

    @property
    def facts(self) -> LiveFacts | None:
        """What the engine can do."""
        return self.rows.facts.get((self.workload.digest, self.plan.cap, self.plan.slots))

    async def calibrate(self, station: Station, clock: Clock) -> LiveFacts:
        """Find out what even allocation can serve, where that is not known.

        Raises:
            EngineError: the engine let a program down.
        """
        if self.facts is not None:
            return self.facts
        alone = [await self._plain(station, clock, 1, place) for place in range(self.plan.alone)]
        alone_s = fmean(row.latency_s[0] for row in alone)
        burst = await self._plain(station, clock, self.plan.burst, 0)
        work = burst.work
        facts = LiveFacts(
            digest=self.workload.digest,
            cap=self.plan.cap,
            slots=self.plan.slots,
            capacity=_kept(_capacity(burst)),
            alone_s=_kept(alone_s),
            base_s=_kept(BASE * alone_s),
            tokens=_kept(fmean(burst.tokens)),
            step_ms=_kept(1000 * work.wall_s / max(1, work.steps)),
            step_tokens=_kept(work.tokens / max(1, work.steps)),
            factors=[_kept(factor) for factor in self.workload.factors],
        )
        self.rows.add(facts)
        return facts

    def points(self, facts: LiveFacts) -> list[LivePoint]:
        """All that the plan may ask for, in the order in which it is measured."""
        arms, found = self.plan.arms, list[LivePoint]()
        for seed in range(self.plan.seeds):
            for turn, load in enumerate(self.plan.loads):
                first = (seed + turn) % len(arms)
                found += [self._point(name, seed, load, facts) for name in (*arms[first:], *arms[:first])]
        return found

    def left(self, facts: LiveFacts) -> Iterator[LivePoint]:
        """What is still to be measured; to be asked again once something was."""
        late = self._late()
        for point in self.points(facts):
            is_late = point.load > late.get((point.arm, point.base_s), point.load)
            if point not in self.rows.points and (point.load in self.plan.fixed or not is_late):
                yield point

    def expected_s(self, facts: LiveFacts) -> float:
        """How long what is left will take: arms are taken to end their ladders where their tokens tell."""
        return sum(
            self._point_s(point, facts)
            for point in self.left(facts)
            if point.load in self.plan.fixed or point.load * _share(point) < 1.3
        )

    async def run(self, station: Station, clock: Clock, tell: Tell) -> None:
        """Measure what is left, and keep each row as it comes.

        Raises:
            EngineError: the engine let a program down; what was measured is kept.
        """
        known = self.facts
        facts = await self.calibrate(station, clock)
        if known is not None and next(self.left(facts), None) is not None:
            now = _capacity(await self._plain(station, clock, self.plan.burst, 0))
            if abs(now / facts.capacity - 1) > _ALIKE:
                tell(
                    f"the engine serves {now:.3g} programs/s now, and served {facts.capacity:.3g} when loads and"
                    " deadlines were set: what is measured now does not compare with what is kept; wait until the"
                    " machine is as quick as it was, or measure all of it anew in another --out"
                )
        tell(f"{facts.capacity:.3g} programs/s by even allocation; about {_minutes(self.expected_s(facts))} to go")
        while (point := next(self.left(facts), None)) is not None:
            coming = self.workload.poisson(point.seed, point.programs, point.rate, point.base_s)
            row = await measure(station, clock, point, coming, self._journals / _name(point))
            self.rows.add(row)
            left = _minutes(self.expected_s(facts))
            tell(f"{point.arm}, load {point.load:g}, seed {point.seed}: {_told(row)}; about {left} left")

    def mine(self) -> list[LiveRow]:
        """The rows of the seeds that are whole; those of the first seed where none is yet."""
        facts = self.facts
        if facts is None:
            return []
        seeds = set(range(self.plan.seeds)) - {point.seed for point in self.left(facts)} or {0}
        asked = {point for point in self.points(facts) if point.seed in seeds}
        return [row for point, row in self.rows.points.items() if point in asked]

    def _late(self) -> dict[tuple[str, float], float]:
        """The least load at which too few of an arm's programs were in time, by base deadline.

        The first seed decides for all, so that all have the same loads.
        """
        found: dict[tuple[str, float], float] = {}
        for point, row in self.rows.points.items():
            if point.seed == 0 and row.attainment < FLOOR:
                key = point.arm, point.base_s
                found[key] = min(point.load, found.get(key, point.load))
        return found

    def _point_s(self, point: LivePoint, facts: LiveFacts) -> float:
        return point.programs / facts.capacity * max(1 / point.load, _share(point)) + 2 * facts.alone_s + _BETWEEN_S

    async def _plain(self, station: Station, clock: Clock, programs: int, first: int) -> LiveRow:
        coming = self.workload.choosing(first, programs)
        point = self._made(FCFS, seed=0, load=0.0, rate=0.0, base_s=0.0, programs=programs)
        return await measure(station, clock, point, coming, self._journals / f"calibration-{programs}-{first}")

    def _point(self, name: str, seed: int, load: float, facts: LiveFacts) -> LivePoint:
        rate = _kept(load * facts.capacity)
        return self._made(name, seed=seed, load=load, rate=rate, base_s=facts.base_s, programs=self.plan.programs)

    def _made(self, name: str, *, seed: int, load: float, rate: float, base_s: float, programs: int) -> LivePoint:
        arm = live_arm(name)
        return LivePoint(
            digest=self.workload.digest,
            arm=arm.name,
            server=arm.server,
            ordering=make_scheduler(arm.ordering)[1] if arm.ordering else "",
            policy=self._policy(name, seed),
            in_flight=arm.in_flight,
            due=arm.due,
            seed=seed,
            programs=programs,
            cap=self.plan.cap,
            slots=self.plan.slots,
            load=load,
            rate=rate,
            base_s=base_s,
        )

    def _policy(self, name: str, seed: int) -> str:
        """Chosen once: it takes a moment."""
        if (name, seed) not in self._policies:
            self._policies[name, seed] = make_policy(self.workload.policy(live_arm(name), seed))[1]
        return self._policies[name, seed]


def _capacity(burst: LiveRow) -> float:
    """Programs a second, of a burst of them."""
    ends = sorted(burst.latency_s)
    first, last = (int(share * len(ends)) for share in _MIDDLE)
    return (last - first) / (ends[last] - ends[first])


def _share(point: LivePoint) -> float:
    return 1.0 if point.policy == EVEN else _SHARE


def _name(point: LivePoint) -> str:
    arm = "".join(letter if letter.isalnum() else "-" for letter in point.arm).strip("-").lower()
    return f"{arm}-load{point.load:g}-seed{point.seed}"


def _told(row: LiveRow) -> str:
    """A core that was not there for long is told: such a point is better measured again, on a quiet machine."""
    work = row.work
    waited = f", without a core {100 * work.waited:.0f} % of its time" if work.waited > _QUIET else ""
    return f"{100 * row.attainment:.0f} % in time, {work.wall_s:.0f} s, {work.steps:,} steps{waited}"


def _minutes(duration_s: float) -> str:
    return f"{duration_s / 60:.0f} minutes" if duration_s >= 90 else f"{duration_s:.0f} s"


def _kept(value: float) -> float:
    """Four digits are enough to aim by."""
    return float(f"{value:.4g}")
