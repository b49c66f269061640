"""Priority escalation against starvation (paper 5.3.1): who has been here too long for what it needs goes first."""

from dataclasses import dataclass, field

from dynasor.errors import UsageError
from dynasor.scheduling.gang import Gang
from dynasor.scheduling.ordering import Ordering, Place
from dynasor.scheduling.sjf import Sjf
from dynasor.scheduling.table import Row
from dynasor.scheduling.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Aging:
    """Programs that have been here for `patience` times their expected service, by when they had been; then others.

    The expected service of a program is all that it was served and is now estimated to need yet, at `tokens_per_s`.
    Time is measured against it because the paper holds programs to finish-time fairness, latency over tokens: a long
    program may take longer. Time counts from the program's first request, so that the rounds of a program that has aged
    do not stand behind all that waits. Where nobody tells what a program needs yet, each of its requests ages by
    itself, from its arrival and by what was known then, as if it were a program.

    The bound: let a program come at a, and never be expected to need more than e seconds in all. From
    d = a + patience * e on, no request of a program that comes after d is started while one of its own waits, however
    many such programs come. Only those go first that had come by d, each with no more requests than it makes in all.

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
        """When it had been here long enough, if it has."""
        since, tokens = request.arrived_at, request.expected_tokens
        if program.is_estimated and program.arrived_at is not None:
            since, tokens = program.arrived_at, program.attained_tokens + program.remaining_tokens
        aged_at = since + self.patience * tokens / self.tokens_per_s
        if now >= aged_at:
            return Place((0, aged_at, program.rank))
        place = self.inner.place(program, request, now)
        return Place((1, *place.key), min(place.until, aged_at))
