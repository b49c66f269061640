"""What is compared on a real vLLM: who orders the requests, what is allocated, and how a grant is spent.

Arms are words; nothing here serves or measures.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dynasor.bench.online_arms import BASELINE, CERTAIN, DECIDED, EVEN, OURS, PAPER
from dynasor.engines.endpoint import Priority
from dynasor.errors import UnknownName

STOCK, PRIORITY, PLUGIN = "stock", "priority", "plug-in"
"""Servers: vLLM as it is; with `--scheduling-policy priority`; with the scheduler inside."""

ORDERING: Final = "dynasor_bench_ordering"
"""The entry of `vllm_xargs` in which a server with the scheduler inside is told an arm's order."""

LASTING = "decided+lasting:confidence=0.97"
ABLATED, ADAPTED = "less one part", "without the plug-in"


@dataclass(frozen=True, slots=True)
class LiveArm:
    """One of those that are compared.

    Attributes:
        server: which one serves it.
        ordering: inside vLLM, of the plug-in; with `due`, of the dispatcher; "" for vLLM's own.
        allocation: `even`, `certaindex`, `decided+certaindex`, or a policy as it is written.
        side: who proposes it.
        in_flight: start all branches at once, and cut those that are not needed.
        due: the dispatcher orders by deadlines, keeps the engine just full, and grants less where it would be late.
    """

    name: str
    server: str
    ordering: str
    allocation: str
    side: str
    in_flight: bool = False
    due: bool = False

    @property
    def priority(self) -> Priority:
        """What its requests tell the server of their program."""
        told: dict[str, Priority] = {PRIORITY: "vllm", PLUGIN: "vllm-plugin"}
        return told.get(self.server, "none")


FCFS, LPM, GANG, DYNASOR = "FCFS (vLLM)", "LPM (SGLang)", "gang (Parrot)", "Dynasor"
ARMS = (
    LiveArm(FCFS, STOCK, "", EVEN, BASELINE),
    LiveArm(LPM, PLUGIN, "prefix", EVEN, BASELINE),
    LiveArm(GANG, PLUGIN, "gang", EVEN, BASELINE),
    LiveArm(DYNASOR, PLUGIN, "dynasor", CERTAIN, PAPER),
    LiveArm("Dynasor by priority", PRIORITY, "", CERTAIN, ADAPTED),
    LiveArm("allocation only", STOCK, "", CERTAIN, ABLATED),
    LiveArm("gang+sjf only", PLUGIN, "aging:patience=8+gang+sjf", EVEN, ABLATED),
    LiveArm("gang for SJF", PLUGIN, "aging:patience=8+gang", CERTAIN, ABLATED),
    LiveArm("+ in flight", PLUGIN, "dynasor", DECIDED, OURS, in_flight=True),
    LiveArm("+ lasting", PLUGIN, "dynasor", LASTING, OURS, in_flight=True),
    LiveArm("+ deadline-aware", STOCK, "edf", CERTAIN, OURS, due=True),
    LiveArm("lasting, deadlines", STOCK, "edf", LASTING, OURS, in_flight=True, due=True),
)
BASELINES = (FCFS, LPM, GANG)
QUICK = (FCFS, LPM, DYNASOR, "+ lasting")

_BY_NAME = {arm.name: arm for arm in ARMS}


def live_arm(name: str) -> LiveArm:
    """The arm of a name.

    Raises:
        UnknownName: for a name that is none.
    """
    if name not in _BY_NAME:
        raise UnknownName("arm", name, [*_BY_NAME])
    return _BY_NAME[name]


def servers_of(names: Iterable[str]) -> tuple[str, ...]:
    """The servers that some arms need, each once."""
    return tuple(dict.fromkeys(live_arm(name).server for name in names))
