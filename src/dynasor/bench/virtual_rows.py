"""What the study of the simulator against vLLM's own scheduler asks for and finds. Knows neither of them."""

import msgspec


class VirtualArm(msgspec.Struct, frozen=True, kw_only=True):
    """One run, which both serve.

    Attributes:
        trace: a recording that is not compressed.
        name: of it.
        ordering: of the scheduler in front, which lets `front` requests through; or, with `inside`, of the plug-in, and
            then the scheduler in front lets all through, with its estimates.
        in_flight: whether all branches begin at once, and those are cut that are not needed.
        places: sequences that the engine computes at one time.
        load: arrivals over what the simulator does with a burst under the same policy.
        room: the longest requests that the memory holds at one time; None: the model's own memory.
    """

    trace: str
    name: str
    accelerator: str
    ordering: str
    policy: str
    in_flight: bool
    inside: bool
    front: int
    places: int
    load: float
    room: int | None
    programs: int
    cap: int
    seed: int


class VirtualSide(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it on one side; latencies of programs in seconds of virtual time."""

    mean_s: float
    p90_s: float
    steps: int
    preemptions: int
    hit_share: float


class VirtualRow(msgspec.Struct, frozen=True, kw_only=True):
    """One arm on both sides.

    Attributes:
        rate: programs a second.
        furthest: the greatest difference of a program's latency, over the mean latency at vLLM.
    """

    arm: VirtualArm
    rate: float
    requests: int
    tokens: int
    simulated: VirtualSide
    vllm: VirtualSide
    furthest: float

    @property
    def mean_error(self) -> float:
        """Of the mean latency, relative to vLLM's."""
        return self.simulated.mean_s / self.vllm.mean_s - 1

    @property
    def p90_error(self) -> float:
        """Of the ninetieth percentile, relative to vLLM's."""
        return self.simulated.p90_s / self.vllm.p90_s - 1
