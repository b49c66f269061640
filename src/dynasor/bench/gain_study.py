"""The study of stopping by expected gain: learned on half of a recording's problems, judged on the other, both ways.

It stands beside the rules that learn nothing, all under the same orders, at the largest cap of each recording.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dynasor.allocation.baselines import Beta, Windows
from dynasor.allocation.compose import FirstToStop
from dynasor.allocation.decided import Decided
from dynasor.allocation.expected_gain import ExpectedGain
from dynasor.allocation.hopeless import Hopeless
from dynasor.allocation.progress import Policy
from dynasor.bench.gain_fit import Caution, asks_below, fit, walks_of
from dynasor.bench.policy_study import CAPS, FEWEST_PROBLEMS, STATIC, Study, fold_of
from dynasor.bench.replays import Contender, compare_policies
from dynasor.datasets.problem import Recording
from dynasor.datasets.recordings import read_recordings
from dynasor.errors import UsageError

LEAST_CAP = 15
PRICES = (0.0005, 0.001, 0.002)
ORDERS = 10
CAUTION = Caution()
FIXED: dict[str, Policy] = {
    "decided": Decided(),
    "static 0.7 at 5": STATIC,
    "windows of 5": Windows(window=5),
    "beta 0.95": Beta(confidence=0.95),
    "hopeless": Hopeless(),
    "decided + static + hopeless": FirstToStop((Decided(), STATIC, Hopeless())),
}


@dataclass(frozen=True, slots=True)
class GainPlan:
    """What to run."""

    traces: tuple[Path, ...]
    prices: tuple[float, ...] = PRICES
    orders: int = ORDERS


def run_gain(plan: GainPlan) -> Iterator[Study]:
    """The studies of all traces, each as it is done."""
    return (study_trace(trace, plan) for trace in plan.traces)


def study_trace(trace: Path, plan: GainPlan) -> Study:
    """Every policy at the largest cap that the trace has samples for."""
    name = trace.name.partition(".jsonl")[0]
    try:
        recordings = list(read_recordings(str(trace)))
    except UsageError as fault:
        return Study(name, (), str(fault).partition(": ")[2] or str(fault))
    cap = largest_cap(recordings)
    if cap is None:
        return Study(name, (), f"fewer than {LEAST_CAP} samples a problem")
    enough = [recording for recording in recordings if len(recording.samples) >= cap]
    found = contenders(enough, cap, plan)
    return Study(name, tuple(compare_policies(enough, found, cap=cap, orders=plan.orders)))


def largest_cap(recordings: Sequence[Recording]) -> int | None:
    """The largest cap of the policy study that enough problems have samples for; none below the least."""
    counts = sorted((len(recording.samples) for recording in recordings), reverse=True)
    most = counts[FEWEST_PROBLEMS - 1] if len(counts) >= FEWEST_PROBLEMS else 0
    return max((cap for cap in CAPS if LEAST_CAP <= cap <= most), default=None)


def contenders(recordings: Sequence[Recording], cap: int, plan: GainPlan) -> list[Contender]:
    """The rules that learn nothing, and expected gain at each price, for each problem from the other fold."""
    found = [Contender(name, _same(policy)) for name, policy in FIXED.items()]
    for price, fitted in cross_fitted(recordings, cap, plan).items():
        together = tuple(FirstToStop((Beta(), policy)) for policy in fitted)
        found.append(Contender(f"gain {price:g}", _of_fold(fitted)))
        found.append(Contender(f"beta + gain {price:g}", _of_fold(together)))
    return found


def cross_fitted(recordings: Sequence[Recording], cap: int, plan: GainPlan) -> dict[float, tuple[ExpectedGain, ...]]:
    """For each price the policies for the problems of fold 0 and of fold 1, each learned on the other."""
    asks = asks_below(cap)
    walks = tuple(
        list(walks_of((r for r in recordings if fold_of(r.problem.id) == 1 - fold), asks, cap, plan.orders))
        for fold in (0, 1)
    )
    return {
        price: tuple(fit(others, asks, cap, price=price, caution=CAUTION) for others in walks) for price in plan.prices
    }


def _same(policy: Policy) -> Callable[[str], Policy]:
    return lambda problem: policy


def _of_fold(fitted: Sequence[Policy]) -> Callable[[str], Policy]:
    return lambda problem: fitted[fold_of(problem)]
