"""Simulated requests, engines and runs, with few words."""

from collections.abc import Iterable

from dynasor.request import ProgramId, RequestId
from dynasor.simulation.accelerator import Accelerator
from dynasor.simulation.cost import Linear
from dynasor.simulation.kernel import Kernel, picoseconds
from dynasor.simulation.kv_cache import KvCache
from dynasor.simulation.limits import Limits
from dynasor.simulation.replica import Replica
from dynasor.simulation.requests import Served, SimulatedRequest

LINE = Linear(step_s=1e-3, sequence_s=1e-4, prompt_token_s=1e-5, kv_token_s=1e-6)


def asked(name: str, prompt: int, output: int, prefix: str | None = None, prefix_tokens: int = 0) -> SimulatedRequest:
    return SimulatedRequest(
        id=RequestId(ProgramId(name), 0),
        prompt_tokens=prompt,
        output_tokens=output,
        prefix=prefix,
        prefix_tokens=prefix_tokens,
    )


def engine(blocks: int = 1000, *, block_tokens: int = 4, limits: Limits | None = None) -> Accelerator:
    return Accelerator(LINE, KvCache(blocks, block_tokens), limits or Limits(sequences=4, step_tokens=16))


class Run:
    """Requests at instants (in seconds) on one engine, and what became of them, in order."""

    def __init__(self, accelerator: Accelerator) -> None:
        self.kernel = Kernel()
        self.served: list[Served] = []
        self.replica = Replica(self.kernel, accelerator, self.served.append)
        self.accelerator = accelerator

    def submit_at(self, instant_s: float, request: SimulatedRequest) -> None:
        self.kernel.at(picoseconds(instant_s), lambda: self.replica.submit(request))

    def cancel_at(self, instant_s: float, id: RequestId) -> None:
        self.kernel.at(picoseconds(instant_s), lambda: self.replica.cancel(id))

    def to_end(self) -> list[Served]:
        self.kernel.run()
        return self.served


def run(accelerator: Accelerator, requests: Iterable[tuple[float, SimulatedRequest]]) -> list[Served]:
    made = Run(accelerator)
    for instant_s, request in requests:
        made.submit_at(instant_s, request)
    return made.to_end()
