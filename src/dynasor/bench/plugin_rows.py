"""What the study of the scheduler inside vLLM measures, as rows. They are made in the interpreter of vLLM."""

import msgspec


class Point(msgspec.Struct, frozen=True):
    """What came of one arm and seed, in engine steps.

    Attributes:
        in_flight: batches that are scheduled ahead; 2 for vLLM's asynchronous scheduler.
        worst_ratio: the greatest finish of a program over its tokens (finish-time fairness).
    """

    workload: str
    arm: str
    in_flight: int
    seed: int
    mean_steps: float
    last_step: int
    worst_ratio: float
    reorders: int
    aged: int


class Pressed(msgspec.Struct, frozen=True):
    """One arm where blocks or places are short: what was measured, by name."""

    scenario: str
    arm: str
    figures: dict[str, float]


class Cost(msgspec.Struct, frozen=True):
    """Microseconds of one arm; `add_us` is for one request that arrives, the others for a step."""

    arm: str
    waiting: int
    median_us: float
    p99_us: float
    mean_us: float
    add_us: float


class Rate(msgspec.Struct, frozen=True):
    """Tokens a second of a real server in one window."""

    arm: str
    repeat: int
    concurrency: int
    tokens_per_s: float
