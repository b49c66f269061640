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
    """Microseconds of the processor in one arm; `add_us` is for one request that arrives, the others for a step.

    Attributes:
        over_us, low_us, high_us: the mean over vLLM's own scheduler at the same turns, with its 95 % interval.
    """

    arm: str
    waiting: int
    median_us: float
    p99_us: float
    mean_us: float
    add_us: float
    over_us: float = 0.0
    low_us: float = 0.0
    high_us: float = 0.0


class Window(msgspec.Struct, frozen=True):
    """What a whole engine in one process took for one window of work; the windows of a round have the same work.

    Attributes:
        turn: its round.
        steps: of the engine: another order of the same work may take some more or fewer.
        cpu_s: the processor's time.
    """

    arm: str
    turn: int
    tokens: int
    steps: int
    cpu_s: float
    wall_s: float


class Rate(msgspec.Struct, frozen=True):
    """Tokens a second of a real server in one window.

    Attributes:
        waited: the share of its time in which the thread that computes was ready to run and had no core.
    """

    arm: str
    repeat: int
    concurrency: int
    tokens_per_s: float
    waited: float = 0.0


Measured = Point | Pressed | Cost | Window | Rate
