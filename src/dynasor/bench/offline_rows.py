"""The rows of the offline evaluation, as they are kept: one JSON object a line, each with its kind.

It knows how a workload's figures are written and read; it computes none.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from dynasor.metrics.intervals import Estimate

ORACLE = "oracle"


class Origin(msgspec.Struct, frozen=True, tag="origin", tag_field="row"):
    """Where the rows come from. Rows with equal settings need not be computed again."""

    settings: Mapping[str, str | int | float | list[int]]
    provenance: Mapping[str, str | int | float]
    wall_s: float


class Facts(msgspec.Struct, frozen=True, tag="workload", tag_field="row"):
    """What a workload is, at its largest cap.

    Attributes:
        easy, scaling, impossible: shares of the programs (problem and order) that are right for good within five
            branches, right later, and wrong at the cap (paper Figs 1 and 4).
        correlation: Pearson's, of certaindex at the fifth branch and the branches that were needed, over programs that
            are right at the cap (paper Fig. 3); None where it is not defined.
        excess: of the tokens that ours takes beyond the oracle, the shares that go to programs that are wrong at the
            cap ("wrong at the cap"), to those right from the first branch ("right at once"), and to all others.
        waiting: what the oracle would take, in times of its tokens, if it had to see three branches first.
        left_out: why there are no rows; empty where there are.
    """

    name: str
    model: str
    task: str
    kind: str
    remark: str
    problems: int
    cap: int
    easy: float = 0.0
    scaling: float = 0.0
    impossible: float = 0.0
    correlation: float | None = None
    excess: Mapping[str, float] = {}
    waiting: float = 1.0
    left_out: str = ""


class ArmRow(msgspec.Struct, frozen=True, tag="arm", tag_field="row"):
    """A policy at a cap, on problems that it was not chosen on.

    Attributes:
        settings: how often each setting was chosen.
        difference: of accuracy, against even; a share of 1.
        times: its tokens in times of the oracle's.
    """

    arm: str
    side: str
    cap: int
    settings: Mapping[str, int]
    tokens: Estimate
    accuracy: Estimate
    saved: Estimate
    difference: Estimate
    times: Estimate

    @property
    def loses(self) -> bool:
        """Whether the loss of accuracy is significant."""
        return self.difference.high < 0


class Duel(msgspec.Struct, frozen=True, tag="duel", tag_field="row"):
    """Ours against a neighbour's rule, at the largest cap: tokens in times of the rule's, and accuracy less its."""

    rule: str
    tokens: Estimate
    difference: Estimate


class SweepRow(msgspec.Struct, frozen=True, tag="threshold", tag_field="row"):
    """A static threshold at five branches, on all problems (paper Fig. 12); shares of 1."""

    threshold: float
    saved: float
    difference: float


class Band(msgspec.Struct, frozen=True, tag="band", tag_field="row"):
    """Problems of like difficulty: those that `low` to `high` of the samples answer rightly; tokens a problem."""

    low: float
    high: float
    problems: int
    tokens: Mapping[str, float]


Line = Origin | Facts | ArmRow | Duel | SweepRow | Band

_LINES = msgspec.json.Decoder(Line)


class Result(msgspec.Struct, frozen=True):
    """All rows of one workload."""

    origin: Origin
    facts: Facts
    arms: tuple[ArmRow, ...] = ()
    duels: tuple[Duel, ...] = ()
    sweep: tuple[SweepRow, ...] = ()
    bands: tuple[Band, ...] = ()

    def lines(self) -> list[Line]:
        """In the order in which they are written."""
        return [self.origin, self.facts, *self.arms, *self.duels, *self.sweep, *self.bands]

    def at_largest(self) -> dict[str, ArmRow]:
        """The arms at the largest cap, by name."""
        return {row.arm: row for row in self.arms if row.cap == self.facts.cap}


def write_result(result: Result, path: Path) -> None:
    """Write all rows at once: a file is whole, or is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in result.lines()))
    unfinished.replace(path)


def read_result(path: Path) -> Result | None:
    """What was written; None where there is nothing, or it is of another version."""
    try:
        lines = [_LINES.decode(line) for line in path.read_bytes().splitlines()]
    except (OSError, msgspec.MsgspecError):
        return None
    if {Origin, Facts} - set(map(type, lines)):
        return None
    return Result(
        next(line for line in lines if isinstance(line, Origin)),
        next(line for line in lines if isinstance(line, Facts)),
        tuple(line for line in lines if isinstance(line, ArmRow)),
        tuple(line for line in lines if isinstance(line, Duel)),
        tuple(line for line in lines if isinstance(line, SweepRow)),
        tuple(line for line in lines if isinstance(line, Band)),
    )
