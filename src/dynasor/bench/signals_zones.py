"""The zones of a workload: easy, scaling, impossible (paper 2.2, Fig. 1). It knows paths, no signals."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from statistics import fmean

from dynasor.bench.signals_programs import ENTROPY, Case, Workload
from dynasor.calibration.profile import RIGHT
from dynasor.metrics.intervals import Estimate, wilson

EASY, SCALING, IMPOSSIBLE = ZONES = ("easy", "scaling", "impossible")
EASY_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class ZoneRow:
    """The problems of one zone.

    Attributes:
        share: of the problems, with Wilson's interval.
        tokens: the share of even allocation's tokens that they take.
        needed: the mean of the fewest branches from which on the vote is right, where it is at the cap.
        certaindex: the mean reading at the detection step.
    """

    zone: str
    problems: int
    share: Estimate
    tokens: float
    needed: float
    certaindex: float


def zone_of(case: Case, detect_at: int) -> str:
    """Impossible: the vote at the cap is wrong in most orders. Easy: that of the detection step is right in 90 %."""
    if fmean(program.path.right[-1] >= RIGHT for program in case.programs) < RIGHT:
        return IMPOSSIBLE
    early = fmean(program.path.right[detect_at] >= RIGHT for program in case.programs)
    return EASY if early >= EASY_SHARE else SCALING


def zone_rows(workload: Workload) -> list[ZoneRow]:
    """A row for each zone, also for one without problems."""
    zones: dict[str, list[Case]] = {zone: [] for zone in ZONES}
    for case in workload.cases:
        zones[zone_of(case, workload.detect_at)].append(case)
    spent = _spent(workload.cases)
    return [
        ZoneRow(
            zone=zone,
            problems=len(cases),
            share=wilson(len(cases), len(workload.cases)),
            tokens=_spent(cases) / spent if spent else nan,
            needed=_mean([p.path.needed for case in cases for p in case.programs if p.path.needed is not None]),
            certaindex=_mean([p.readings[ENTROPY] for case in cases for p in case.programs]),
        )
        for zone, cases in zones.items()
    ]


def _spent(cases: Sequence[Case]) -> int:
    return sum(program.path.progress[-1].tokens for case in cases for program in case.programs)


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else nan
