"""The certaindex threshold of a workload, chosen on problems that do not come (the paper tunes on those that do).

A candidate is tried by running programs on their recorded samples; no time passes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from statistics import fmean

import msgspec

from dynasor.allocation.progress import Policy
from dynasor.answers.grouping import ByText
from dynasor.bench.online_workloads import online_workload
from dynasor.datasets.problem import Recording, judge
from dynasor.engines.recorded import RecordedEngine
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.request import Sample
from dynasor.runtime.drive import drive
from dynasor.wiring import make_policy, session_maker

DETECT_AT = 5
THRESHOLDS = (0.9, 0.65, 0.55, 0.4, 0.3)
"""Between the values of certaindex at five branches: 5, 4-1, 3-2, 3-1-1 and 2-2-1 that agree."""

TOLERANCE = 0.005
ORDERS = 2
MOST_PROBLEMS = 200


@lru_cache(maxsize=64)
def chosen_threshold(source: str, most: int, cap: int, seed: int, *, in_flight: bool = False) -> float | None:
    """The least threshold that loses at most half a point against even, on average over orders; None where none does.

    Args:
        source: a recording.
        most: samples that every problem must have.
        cap: at which it is chosen.
        seed: divides the problems, and orders the samples.
        in_flight: whether all branches start together, so that it is the shortest ones that are judged.
    """
    _, choosing = online_workload(source, most).halves(seed)
    tried = _Tried(choosing[:MOST_PROBLEMS], cap, seed, in_flight)
    even = tried.accuracy(make_policy("even")[0])
    candidates = ((threshold, make_policy(specification(threshold, cap))[0]) for threshold in THRESHOLDS)
    return min((t for t, policy in candidates if tried.accuracy(policy) >= even - TOLERANCE), default=None)


def specification(threshold: float, cap: int) -> str:
    """As policies are written; at a small cap it is judged at the cap."""
    return f"static:threshold={threshold:g},detect_at={min(DETECT_AT, cap)}"


@dataclass(frozen=True, slots=True)
class _Tried:
    """Problems on which candidates are tried."""

    recordings: Sequence[Recording]
    cap: int
    seed: int
    in_flight: bool

    def accuracy(self, policy: Policy) -> float:
        """Of a policy, over several orders of the samples."""
        setup = Setup(cap=self.cap, grouping=ByText, seed=self.seed)
        session = session_maker(SelfConsistency, setup, policy, in_flight=False)
        found = []
        for recording in self.recordings:
            for order in range(ORDERS):
                problem = msgspec.structs.replace(recording.problem, id=f"{recording.problem.id} {order}")
                samples = {problem.id: self._samples(recording, order)}
                found.append(judge(problem, drive(session(problem), RecordedEngine(samples)).answer) or 0.0)
        return fmean(found)

    def _samples(self, recording: Recording, order: int) -> list[Sample]:
        samples = list(recording.samples)
        Random(f"{self.seed}/{order}/{recording.problem.id}").shuffle(samples)
        return sorted(samples[: self.cap], key=lambda sample: sample.tokens) if self.in_flight else samples
