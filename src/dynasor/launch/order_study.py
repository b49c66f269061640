"""The orderings on recorded programs at a share of what one accelerator can do: mean and tail latency against bounds.

The bounds are the oracle, which knows what every program will take, and `gang`, which is fair among programs. An
ordering is guarded where its mean is at most 5 % above the oracle's and its P99 at most 1.5 times that of `gang`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path

import msgspec

from dynasor.datasets.files import bare_name
from dynasor.launch.ordering import ORACLE
from dynasor.launch.simulating import Machines, arms_of
from dynasor.launch.traffic import Traffic
from dynasor.simulation.arrivals import bursty
from dynasor.simulation.host import simulate
from dynasor.simulation.models import model_of

FAIR = "gang"
CANDIDATES = (
    *("fcfs", "prefix", FAIR, "gang+sjf", "sjf", "attained"),
    *(f"aging:patience={patience}+gang+sjf" for patience in (4, 8, 16)),
    *(f"aging:patience={patience}+sjf" for patience in (2, 4, 8, 16, 32)),
    *("gang+aging:patience=8+sjf", ORACLE),
)
"""Baselines, the parts of the scheduler, and aging around and inside of gangs with every patience."""
Figures = Mapping[str, float | int | None]
_GUARD_MEAN, _GUARD_TAIL = 0.05, 1.5
_MIDDLE = (0.1, 0.9)  # of the programs of a burst: neither the queue that fills nor the one that runs empty


@dataclass(frozen=True, slots=True)
class OrderPlan:
    """One workload.

    Attributes:
        load: arrivals over what the accelerator does with a burst of all programs.
        burstiness: deviation of the gaps between arrivals over their mean; 1 is Poisson.
    """

    trace: str
    cap: int
    policy: str | None
    load: float = 0.9
    burstiness: float = 1.0
    programs: int = 500
    sequences: int = 64
    accelerator: str = "a100-llama-8b"
    seed: int = 0


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """One ordering on one workload.

    Attributes:
        rate: programs a second that came.
        against_oracle: its mean latency over that of the oracle, less 1.
        tail: its P99 over that of `gang`.
        guarded: whether both are within the guard.
    """

    trace: str
    policy: str
    load: float
    burstiness: float
    sequences: int
    ordering: str
    rate: float
    mean_s: float
    p50_s: float
    p90_s: float
    p99_s: float
    against_oracle: float
    tail: float
    guarded: bool


def run_orders(plan: OrderPlan, compared: Sequence[str] = CANDIDATES) -> list[OrderRow]:
    """Measure what the accelerator can do, then let the programs come at a share of that under every ordering.

    The bounds are measured too where they are not among those that are compared.
    """
    rate = plan.load * _capacity(plan)
    arrivals = partial(bursty, rate, plan.burstiness, plan.seed)
    names = dict.fromkeys((*compared, FAIR, ORACLE))
    found = {}
    policy = ""
    for arm in arms_of(_traffic(plan, arrivals), _machines(plan), [plan.policy], names):
        policy, found[arm.ordering] = arm.policy, simulate(arm.plan).summary()
    return _rows(plan, policy, rate, found)


def _rows(plan: OrderPlan, policy: str, rate: float, found: Mapping[str, Figures]) -> list[OrderRow]:
    times = {name: [float(figures[key] or 0) for key in _TIMES] for name, figures in found.items()}
    rows = []
    for name, values in times.items():
        above, tail = values[0] / times[ORACLE][0] - 1, values[3] / times[FAIR][3]
        rows.append(
            OrderRow(
                trace=bare_name(Path(plan.trace)),
                policy=policy,
                load=plan.load,
                burstiness=plan.burstiness,
                sequences=plan.sequences,
                ordering=name,
                rate=rate,
                **dict(zip(_TIMES, values, strict=True)),
                against_oracle=above,
                tail=tail,
                guarded=above <= _GUARD_MEAN and tail <= _GUARD_TAIL,
            )
        )
    return rows


_TIMES = ("mean_s", "p50_s", "p90_s", "p99_s")


def _capacity(plan: OrderPlan) -> float:
    """Programs a second of a burst, between its first tenth and its last."""
    (arm,) = arms_of(_traffic(plan, lambda: repeat(0.0)), _machines(plan), [plan.policy], [FAIR])
    ends = sorted(row.ended_at for row in simulate(arm.plan).rows)
    first, last = (int(share * len(ends)) for share in _MIDDLE)
    return (last - first) / (ends[last] - ends[first])


def _traffic(plan: OrderPlan, arrivals: Callable[[], Iterator[float]]) -> Traffic:
    return Traffic(trace=plan.trace, arrivals=arrivals, programs=plan.programs, cap=plan.cap, seed=plan.seed)


def _machines(plan: OrderPlan) -> Machines:
    return Machines(model=model_of(plan.accelerator), sequences=plan.sequences)
