"""The seam between a replica and what computes its steps: the model of an accelerator, or an engine's own scheduler."""

from typing import Protocol

from dynasor.request import RequestId
from dynasor.simulation.kv_cache import KvCache
from dynasor.simulation.requests import Served, SimulatedRequest


class Stepping(Protocol):
    """What takes steps; the attributes are those of `Accelerator`."""

    cache: KvCache
    end: int | None
    reached: list[tuple[RequestId, int]]
    prompt_tokens: int
    output_tokens: int
    preemptions: int
    busy: int

    @property
    def steps(self) -> int:
        """Steps done."""
        ...

    def has(self, id: RequestId) -> bool:
        """Whether a request is here, waiting or running."""
        ...

    def submit(self, request: SimulatedRequest, now: int) -> None:
        """A request comes."""
        ...

    def cancel(self, id: RequestId, now: int) -> Served | None:
        """Cut a request, and return what became of it if it ends at once."""
        ...

    def start(self, now: int) -> int | None:
        """Decide what the next steps compute. Returns when they end; None where there is nothing to do."""
        ...

    def finish(self) -> list[Served]:
        """The stretch has ended: what ended with it."""
        ...
