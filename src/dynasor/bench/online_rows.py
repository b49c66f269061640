"""The rows of the online evaluation, as they are kept: one JSON object a line, each with its kind.

A row is of one point, measured by whoever can serve it: the simulator now, a live engine as well. It knows how rows are
written and read; it measures nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from dynasor.bench.growing_file import GrowingFile

VERSION = 1
"""Of what is measured: points of another version are measured anew."""

SHARES = tuple(percent / 100 for percent in (*range(5, 80, 5), *range(80, 101, 2)))
"""Of the programs: how late they are is kept at these shares."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured: all that the figures of a row depend on.

    Attributes:
        digest: of the recording.
        ordering: the canonical specification, so that another default is another point.
        allocation, in_flight, due: as of the arm.
        load: arrivals over what even allocation can serve at the largest cap and with all the memory.
        memory: the share of the memory for keys and values.
        hints: evict prefixes of live programs last; else the least recent first.
        scale: of the deadlines that the engine is told; they are judged at every scale.
    """

    workload: str
    digest: str
    accelerator: str
    arm: str
    ordering: str
    allocation: str
    in_flight: bool
    due: bool
    seed: int
    programs: int
    cap: int
    load: float
    memory: float = 1.0
    hints: bool = True
    scale: float = 1.0
    host: str = "simulator"
    version: int = VERSION


class Facts(msgspec.Struct, frozen=True, kw_only=True, tag="workload", tag_field="row"):
    """What a workload is on an accelerator, at the cap of the study and under even allocation.

    Attributes:
        capacity: programs a second of a burst.
        alone_s: mean seconds of a program that has the accelerator to itself.
        base_s: the base deadline.
        shares, factors: of the problems that are always, sometimes and never right: how many, and how many times the
            base deadline they have.
    """

    workload: str
    digest: str
    accelerator: str
    cap: int
    problems: int
    samples_tokens: float
    single_accuracy: float
    capacity: float
    alone_s: float
    base_s: float
    shares: Mapping[str, float]
    factors: Mapping[str, float]
    version: int = VERSION


class OnlineRow(msgspec.Struct, frozen=True, kw_only=True, tag="point", tag_field="row"):
    """One point. Latencies are of programs, in seconds.

    Attributes:
        rate: programs that came, a second.
        policy: what was chosen, as a specification.
        attainment: the share of the programs that were done by their deadline, at the scale of the point.
        needed: at each of `SHARES`, the SLO scale under which so large a share of the programs is in time.
        fairness: at every tenth of the programs, their latency over what even allocation takes, in ms a token.
        less: the share of the programs that were given less for their deadline.
    """

    point: Point
    rate: float
    policy: str
    attainment: float
    accuracy: float
    mean_s: float
    p50_s: float
    p90_s: float
    p99_s: float
    tokens: float
    tokens_per_s: float
    utilisation: float
    prefix_hit_rate: float
    preemptions: int
    less: float
    needed: Sequence[float]
    fairness: Sequence[float]

    def tightest(self, share: float) -> float:
        """The least scale under which so many are in time; `share` is one of `SHARES`."""
        return self.needed[SHARES.index(share)]


class Origin(msgspec.Struct, frozen=True, tag="origin", tag_field="row"):
    """Where the rows after it come from."""

    provenance: Mapping[str, str | int | float]


Line = Origin | Facts | OnlineRow
_LINES: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


class Rows(GrowingFile[Line]):
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
        self.facts: dict[tuple[str, str, str, int], Facts] = {}
        self.points: dict[Point, OnlineRow] = {}
        super().__init__(path, _LINES)

    def forget(self, arms: Iterable[str]) -> None:
        """Drop the points of some arms, so that they are measured anew, and write the file anew without them."""
        gone = set(arms)
        self.points = {point: row for point, row in self.points.items() if point.arm not in gone}
        self.write()

    def take(self, line: Line) -> None:
        """Know a line; the last of a point counts."""
        if isinstance(line, Origin):
            self.origins.append(line)
        elif isinstance(line, Facts):
            self.facts[line.workload, line.digest, line.accelerator, line.cap] = line
        else:
            self.points[line.point] = line

    def lines(self) -> Iterable[Line]:
        """Origins, workloads, points in order."""
        return [
            *self.origins,
            *self.facts.values(),
            *sorted(self.points.values(), key=lambda row: msgspec.json.encode(row.point)),
        ]
