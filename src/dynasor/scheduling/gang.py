"""Gang scheduling (paper 5.3.1): what was begun is brought to its end before another program is."""

from dataclasses import dataclass, field

from dynasor.scheduling.app_fifo import AppFifo
from dynasor.scheduling.ordering import Ordering, Place
from dynasor.scheduling.table import Row
from dynasor.scheduling.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Gang:
    """Programs that have started, by their start; then the others by another ordering."""

    inner: Ordering = field(default_factory=AppFifo)

    def place(self, program: Row, request: Waiting, now: float) -> Place:
        """The start rank of its program, before all that have none."""
        if program.start_rank is not None:
            return Place((0, program.start_rank))
        place = self.inner.place(program, request, now)
        return Place((1, *place.key), place.until)
