"""What a simulated run came to: a row for every program, and what the machines did. A fold over both gives figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, nan
from statistics import fmean

import msgspec

from dynasor.simulation.station import Work


class ProgramRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One program. Instants are in seconds of virtual time.

    Attributes:
        started_at: when its first request was admitted; None where none was.
        tokens: generated, those of cut branches included.
        prefix_tokens, cached_tokens: tokens of its requests' prompts, and those of them that were in the cache.
        correct: how right its answer is, in [0, 1]; None where nobody can tell.
        stopped_by: why it got no more.
        reissued: requests that were asked again because their replica died.
        even_tokens: what even allocation would have taken; None where that is not known.
    """

    program: str
    arrived_at: float
    started_at: float | None
    ended_at: float
    tokens: int
    knob: int
    answer: str | None
    correct: float | None
    certaindex: float
    stopped_by: str
    deadline: float | None = None
    even_tokens: int | None = None
    prefix_tokens: int = 0
    cached_tokens: int = 0
    preemptions: int = 0
    reissued: int = 0

    @property
    def latency_s(self) -> float:
        """From its arrival to its answer."""
        return self.ended_at - self.arrived_at

    @property
    def queueing_s(self) -> float:
        """From its arrival to the admission of its first request."""
        return self.ended_at - self.arrived_at if self.started_at is None else self.started_at - self.arrived_at

    @property
    def in_time(self) -> bool | None:
        """Whether it was done by its deadline; None without one."""
        return None if self.deadline is None else self.ended_at <= self.deadline


@dataclass(frozen=True, slots=True)
class SimulatedRun:
    """The programs in the order in which they ended, and the machines.

    Attributes:
        duration_s: from the start to the end of the last program, in virtual time.
        request_count: requests that were asked, again or for the first time.
    """

    rows: tuple[ProgramRow, ...]
    work: Work
    replicas: int
    duration_s: float
    request_count: int

    def summary(self) -> dict[str, float | int | None]:
        """The figures by name. Latencies are of programs, in seconds."""
        rows, work = self.rows, self.work
        latencies = sorted(row.latency_s for row in rows)
        judged = [row.correct for row in rows if row.correct is not None]
        due = [row.in_time for row in rows if row.in_time is not None]
        fairness = [row.latency_s / row.even_tokens for row in rows if row.even_tokens]
        return {
            "programs": len(rows),
            "mean_s": fmean(latencies) if rows else nan,
            "p50_s": quantile(latencies, 0.5),
            "p90_s": quantile(latencies, 0.9),
            "p99_s": quantile(latencies, 0.99),
            "queueing_mean_s": fmean(row.queueing_s for row in rows) if rows else nan,
            "slo_attainment": fmean(due) if due else None,
            "fairness_p90_ms_per_token": 1000 * quantile(sorted(fairness), 0.9) if fairness else None,
            "accuracy": fmean(judged) if judged else None,
            "tokens_per_program": fmean(row.tokens for row in rows) if rows else nan,
            "tokens_per_s": work.output_tokens / self.duration_s if self.duration_s else nan,
            "preemptions": work.preemptions,
            "prefix_hit_rate": work.hit_tokens / work.asked_tokens if work.asked_tokens else 0.0,
            "utilisation": work.busy_s / (self.duration_s * self.replicas) if self.duration_s else nan,
            "batch_mean": work.output_tokens / work.steps if work.steps else nan,
            "steps": work.steps,
            "requests": self.request_count,
            "reissued": sum(row.reissued for row in rows),
            "duration_s": self.duration_s,
        }


def quantile(ordered: Sequence[float], share: float) -> float:
    """The least of some numbers, given in order, that so large a share of them do not exceed."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else nan
