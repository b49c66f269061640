"""What the online evaluation compares (paper 6.3, 6.5): an ordering, an allocation, and how a grant is spent.

Arms are words; nothing here serves or measures.
"""

from dataclasses import dataclass

from dynasor.errors import UnknownName

EVEN, CERTAIN, DECIDED, LOSSLESS = "even", "certaindex", "decided+certaindex", "decided"
LASTING = "decided+lasting:confidence=0.97"
BASELINE, PAPER, ABLATED, OURS = "baseline", "the paper's", "less one part", "ours"


@dataclass(frozen=True, slots=True)
class Arm:
    """One of those that are compared.

    Attributes:
        ordering: a specification.
        allocation: `even`; `certaindex`, the threshold that is chosen on problems that do not come;
            `decided+certaindex`, which also stops at a vote that cannot change; `decided`, which stops only there;
            `decided+lasting:confidence=0.97`, which also stops at one that will probably not change.
        side: who proposes it.
        in_flight: start all branches at once, and cut those that are not needed.
        due: grant less where what the policy grants would be late.
    """

    name: str
    ordering: str
    allocation: str
    side: str
    in_flight: bool = False
    due: bool = False


ARMS = (
    Arm("FCFS (vLLM)", "fcfs", EVEN, BASELINE),
    Arm("LPM (SGLang)", "prefix", EVEN, BASELINE),
    Arm("App-FIFO (Parrot)", "app-fifo", EVEN, BASELINE),
    Arm("gang", "gang", EVEN, BASELINE),
    Arm("Dynasor", "dynasor", CERTAIN, PAPER),
    Arm("with gang", "aging:patience=8+gang+sjf", CERTAIN, PAPER),
    Arm("gang for SJF", "aging:patience=8+gang", CERTAIN, ABLATED),
    Arm("without aging", "sjf", CERTAIN, ABLATED),
    Arm("without certaindex", "dynasor", EVEN, ABLATED),
    Arm("LPM + certaindex", "prefix", CERTAIN, ABLATED),
    Arm("+ decided", "dynasor", DECIDED, OURS),
    Arm("+ in flight", "dynasor", DECIDED, OURS, in_flight=True),
    Arm("decided in flight", "dynasor", LOSSLESS, OURS, in_flight=True),
    Arm("lasting", "dynasor", LASTING, OURS),
    Arm("lasting in flight", "dynasor", LASTING, OURS, in_flight=True),
    Arm("+ deadline-aware", "edf", CERTAIN, OURS, due=True),
)
DYNASOR = "Dynasor"
BASELINES = tuple(arm.name for arm in ARMS if arm.side == BASELINE)
MAIN = (*BASELINES[1:3], DYNASOR, "+ deadline-aware")
"""Those that are also measured at other caps."""

REMEMBERING = (*BASELINES[1:2], "with gang", DYNASOR)
"""Those whose memory is varied; Dynasor also with the least recent prefix evicted first."""

_BY_NAME = {arm.name: arm for arm in ARMS}


def arm_of(name: str) -> Arm:
    """The arm of a name.

    Raises:
        UnknownName: for a name that is none.
    """
    if name not in _BY_NAME:
        raise UnknownName("arm", name, [*_BY_NAME])
    return _BY_NAME[name]
