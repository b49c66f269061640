"""The orderings on recorded programs at a share of what one accelerator can do: mean and tail latency against bounds.

The bounds are the oracle, which knows what every program will take, and `gang`, which is fair among programs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import repeat

import msgspec

from dynasor.launch.ordering import ORACLE
from dynasor.launch.simulating import Machines, arms_of
from dynasor.launch.traffic import Traffic
from dynasor.simulation.arrivals import bursty
from dynasor.simulation.host import simulate
from dynasor.simulation.models import model_of

FAIR = "gang"
PATIENCES = (1, 2, 4, 8, 16, 32)
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
    programs: int = 1000
    sequences: int = 256
    accelerator: str = "a100-llama-8b"
    seed: int = 0


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """One ordering on one workload.

    Attributes:
        rate: programs a second that came.
        against_oracle: its mean latency over that of the oracle, less 1.
        tail: its P99 over that of `gang`.
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


def orderings() -> tuple[str, ...]:
    """Those that are compared: baselines, the scheduler without aging, and with every patience."""
    aged = [f"aging:patience={patience}+{inner}" for inner in ("gang+sjf", "sjf") for patience in PATIENCES]
    return ("fcfs", "prefix", "app-fifo", FAIR, "gang+sjf", "sjf", "attained", *aged, ORACLE)


def run_orders(plan: OrderPlan, compared: tuple[str, ...] | None = None) -> list[OrderRow]:
    """Measure what the accelerator can do, then let the programs come at a share of that under every ordering."""
    rate = plan.load * _capacity(plan)
    arrivals = partial(bursty, rate, plan.burstiness, plan.seed)
    names = compared or orderings()
    found = {}
    policy = ""
    for arm in arms_of(_traffic(plan, arrivals), _machines(plan), [plan.policy], names):
        policy, found[arm.ordering] = arm.policy, simulate(arm.plan).summary()
    times = {name: [float(summary[key] or 0) for key in _TIMES] for name, summary in found.items()}
    return [
        OrderRow(
            trace=plan.trace,
            policy=policy,
            load=plan.load,
            burstiness=plan.burstiness,
            sequences=plan.sequences,
            ordering=name,
            rate=rate,
            **dict(zip(_TIMES, values, strict=True)),
            against_oracle=values[0] / times[ORACLE][0] - 1,
            tail=values[3] / times[FAIR][3],
        )
        for name, values in times.items()
    ]


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
