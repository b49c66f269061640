"""The programs that come to a real engine: built-in problems whose difficulty a recording tells.

Deadlines go by difficulty (paper 6.1): scale x factor x base. The problems of a recording are put into thirds by how
often its samples are right; the factor of a third is what its samples take in tokens over those of the easiest third,
at least 1. (With 40 samples nearly every problem is sometimes right: the classes of the simulated evaluation would
put them all into one.) No problem that comes is one that a policy was chosen on. It serves nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import msgspec

from dynasor.bench.online_arms import CERTAIN, DECIDED
from dynasor.bench.online_choice import chosen_threshold, specification
from dynasor.bench.online_live_arms import LiveArm
from dynasor.bench.online_workloads import online_workload, sample_tokens, single_accuracy
from dynasor.datasets.problem import Problem, Recording
from dynasor.errors import UsageError
from dynasor.simulation.arrivals import poisson

THIRDS = 3


@dataclass(frozen=True, slots=True)
class Coming:
    """A program that will come.

    Attributes:
        at_s: seconds from the start of the run.
        within_s: its deadline, from then on.
        even_tokens: what even allocation took for it when it was recorded.
    """

    at_s: float
    problem: Problem
    within_s: float
    even_tokens: int


class LiveWorkload:
    """The problems of a recording.

    Attributes:
        source: where it is.
        digest: of the recording.
        factors: of the thirds, the easiest first.
    """

    def __init__(self, source: str, cap: int) -> None:
        """Read it.

        Raises:
            UsageError: it cannot be read, or holds problems that cannot be asked.
        """
        self.source, self._cap = source, cap
        self._workload = online_workload(source, cap)
        recordings = self._workload.recordings
        if any(not each.problem.question or each.problem.gold is None for each in recordings):
            raise UsageError(f"{source} lacks questions or right answers, so its problems cannot be asked anew")
        self.digest = self._workload.digest
        thirds = in_thirds(recordings)
        easiest = sample_tokens(thirds[0])
        self.factors = [max(1.0, sample_tokens(third) / easiest) for third in thirds]
        self._factor = {
            each.problem.id: factor for third, factor in zip(thirds, self.factors, strict=True) for each in third
        }

    def poisson(self, seed: int, programs: int, rate: float, base_s: float) -> list[Coming]:
        """So many programs, `rate` a second on average, the same for all arms.

        Once all problems of the half that comes have come, they come again under other names.
        """
        arrivals = islice(poisson(rate, seed), programs)
        return [self._program(seed, number, at_s, base_s) for number, at_s in enumerate(arrivals)]

    def choosing(self, first: int, programs: int) -> list[Coming]:
        """So many of the problems that policies are chosen on under seed 0, all at once and without a deadline."""
        _, choosing = self._workload.halves(0)
        recordings = islice(cycle(choosing), first, first + programs)
        return [Coming(0.0, msgspec.structs.replace(each.problem, verdicts=None), 1.0, 0) for each in recordings]

    def policy(self, arm: LiveArm, seed: int) -> str:
        """An arm's policy; thresholds are chosen on the problems that do not come under this seed."""
        if arm.allocation not in (CERTAIN, DECIDED):
            return arm.allocation
        chosen = chosen_threshold(self.source, self._cap, self._cap, seed, in_flight=arm.in_flight)
        if chosen is None:
            return {CERTAIN: "even", DECIDED: "decided"}[arm.allocation]
        written = specification(chosen, self._cap)
        return {CERTAIN: written, DECIDED: f"decided+{written}"}[arm.allocation]

    def _program(self, seed: int, number: int, at_s: float, base_s: float) -> Coming:
        recording, problem, samples = self._workload.coming(seed, number)
        within_s = self._factor[recording.problem.id] * base_s
        even_tokens = sum(sample.tokens for sample in samples[: self._cap])
        return Coming(at_s, msgspec.structs.replace(problem, verdicts=None), within_s, even_tokens)


def in_thirds(recordings: Sequence[Recording]) -> list[list[Recording]]:
    """By the share of right samples, the easiest first; equal ones stay in the order of the recording."""
    ranked = sorted(recordings, key=lambda each: -single_accuracy([each]))
    bounds = [round(part * len(ranked) / THIRDS) for part in range(THIRDS + 1)]
    return [ranked[bounds[part] : bounds[part + 1]] for part in range(THIRDS)]
