"""The rows of the online evaluation on a real engine: one JSON object a line, every program with figures of its own.

It knows how rows are written and read; it measures nothing.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from dynasor.bench.growing_file import GrowingFile
from dynasor.bench.online_rows import Origin

VERSION = 1
"""Of what is measured: points of another version are measured anew."""


class LivePoint(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured: all that the figures of a row depend on.

    Attributes:
        digest: of the recording whose problems come.
        ordering, policy: as specifications; the policy with the threshold that was chosen.
        slots: sequences that the engine computes at a time.
        load: arrivals over what even allocation can serve.
        rate: programs that come, a second.
        base_s: the base deadline.
    """

    digest: str
    arm: str
    server: str
    ordering: str
    policy: str
    in_flight: bool
    due: bool
    seed: int
    programs: int
    cap: int
    slots: int
    load: float
    rate: float
    base_s: float
    version: int = VERSION


class LiveFacts(msgspec.Struct, frozen=True, kw_only=True, tag="calibration", tag_field="row"):
    """What the engine can do with even allocation, found out before anything else.

    Attributes:
        capacity: programs a second of a burst.
        alone_s: mean seconds of a program that has the engine to itself.
        base_s: the base deadline.
        tokens: generated for a program.
        step_ms, step_tokens: of the burst: milliseconds of an engine step, and tokens in it.
        factors: of the thirds of the problems, the easiest first: how many times the base deadline they have.
    """

    digest: str
    cap: int
    slots: int
    capacity: float
    alone_s: float
    base_s: float
    tokens: float
    step_ms: float
    step_tokens: float
    factors: Sequence[float]
    version: int = VERSION


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine did for a point, by its own counters.

    Attributes:
        wall_s: from the first arrival to the last answer.
        steps: of the engine.
        tokens: generated, those of cut branches included.
        cpu_s: of all its processes.
        waited: of the thread that computes: the share of its time in which it was ready to run and had no core.
    """

    wall_s: float
    steps: int
    tokens: int
    prompt_tokens: int
    hit_tokens: int
    preemptions: int
    cpu_s: float
    waited: float


class LiveRow(msgspec.Struct, frozen=True, kw_only=True, tag="point", tag_field="row"):
    """One point. Its columns have one entry a program, in the order of arrival.

    Attributes:
        latency_s: from the instant at which a program was to come, to its answer.
        latency_steps: the same in steps of the engine, between readings of its counter taken to be even.
        within_s: its deadline.
        tokens: that its branches took; those of cut ones, whose tokens nobody tells, at the mean of the others.
        even_tokens: what even allocation took for the problem when it was recorded.
        less: how many programs were given less for their deadline.
    """

    point: LivePoint
    latency_s: Sequence[float]
    latency_steps: Sequence[float]
    within_s: Sequence[float]
    tokens: Sequence[int]
    knob: Sequence[int]
    right: Sequence[float]
    even_tokens: Sequence[int]
    less: int
    work: Work

    @property
    def needed(self) -> list[float]:
        """The SLO scale under which each program would have been in time."""
        return [took / within for took, within in zip(self.latency_s, self.within_s, strict=True)]

    @property
    def attainment(self) -> float:
        """The share of the programs that were in time."""
        return sum(needed <= 1.0 for needed in self.needed) / len(self.latency_s)


Line = Origin | LiveFacts | LiveRow
_LINES: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


class LiveRows(GrowingFile[Line]):
    """The rows of all points.

    Attributes:
        origins, facts, points: the lines of the file, the last of each point.
    """

    def __init__(self, path: Path) -> None:
        """Read what is there.

        Raises:
            UsageError: where the file holds something else.
        """
        self.origins: list[Origin] = []
        self.facts: dict[tuple[str, int, int], LiveFacts] = {}
        self.points: dict[LivePoint, LiveRow] = {}
        super().__init__(path, _LINES)

    def forget(self, arms: Iterable[str]) -> None:
        """Drop the points of some arms, so that they are measured anew."""
        gone = set(arms)
        self.points = {point: row for point, row in self.points.items() if point.arm not in gone}
        if gone:
            self.write()

    def take(self, line: Line) -> None:
        """Know a line; the last of a point counts."""
        if isinstance(line, Origin):
            self.origins.append(line)
        elif isinstance(line, LiveFacts):
            self.facts[line.digest, line.cap, line.slots] = line
        else:
            self.points[line.point] = line

    def lines(self) -> Iterable[Line]:
        """Origins, workloads, points as they came."""
        return [*self.origins, *self.facts.values(), *self.points.values()]
