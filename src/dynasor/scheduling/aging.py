"""Priority escalation against starvation (paper 5.3.1): whoever has waited too long for what it needs goes first."""

from dataclasses import dataclass, field

from dynasor.errors import UsageError
from dynasor.scheduling.gang import Gang
from dynasor.scheduling.ordering import Ordering, Place
from dynasor.scheduling.sjf import Sjf
from dynasor.scheduling.table import Row
from dynasor.scheduling.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Aging:
    """Requests that have waited `patience` times their expected service, by the instant at which they had; then others.

    The expected service of a request is what its program was estimated to need when the request arrived, at
    `tokens_per_s`. Waiting is measured against it because the paper holds programs to finish-time fairness, latency
    over tokens: a long program may wait longer.

    The bound: let a request arrive at a, and let e be the largest expected service of it and of the older waiting
    requests of its program and depth. From d = a + patience * e on, no request that arrives at d or later is started
    before it: only those are that arrived earlier, each once unless it is put back, however many short programs come.

    Attributes:
        inner: the order of those that have not waited so long.
        patience: multiples of the expected service.
        tokens_per_s: how fast a program is served that has the engine to itself.
    """

    inner: Ordering = field(default_factory=lambda: Gang(Sjf()))
    patience: float = 20.0
    tokens_per_s: float = 1000.0

    def __post_init__(self) -> None:
        """Refuse settings under which time runs backwards or not at all."""
        if not self.patience >= 0:
            raise UsageError(f"patience is {self.patience}; it must be at least 0")
        if not self.tokens_per_s > 0:
            raise UsageError(f"tokens_per_s is {self.tokens_per_s}; it must be above 0")

    def place(self, program: Row, request: Waiting, now: float) -> Place:
        """When it had waited long enough, if it has."""
        aged_at = request.arrived_at + self.patience * request.expected_tokens / self.tokens_per_s
        if now >= aged_at:
            return Place((0, aged_at))
        place = self.inner.place(program, request, now)
        return Place((1, *place.key), min(place.until, aged_at))
