"""An accelerator in virtual time: the kernel drives it, and whoever submits is told at the end of each request."""

from collections.abc import Callable

from dynasor.request import RequestId
from dynasor.simulation.accelerator import Accelerator
from dynasor.simulation.kernel import Event, Kernel
from dynasor.simulation.requests import Served, SimulatedRequest


class Replica:
    """One engine behind a kernel.

    What is submitted while `on_end` is told of a request takes part in the very next step, as does all that is
    submitted at the instant at which a step starts.
    """

    def __init__(self, kernel: Kernel, accelerator: Accelerator, on_end: Callable[[Served], None]) -> None:
        self.accelerator = accelerator
        self._kernel = kernel
        self._on_end = on_end
        self._finish: Event | None = None
        self._starting = self._stopped = False

    def submit(self, request: SimulatedRequest) -> None:
        """A request comes at the present instant."""
        self.accelerator.submit(request, self._kernel.now)
        self._await()

    def cancel(self, id: RequestId) -> None:
        """Cut a request at the present instant; one that has ended, or is not known, is left."""
        ended = self.accelerator.cancel(id, self._kernel.now)
        self._await()
        if ended is not None:
            self._kernel.at(self._kernel.now, lambda: self._on_end(ended))

    def stop(self) -> None:
        """It dies: what is here is lost, and nobody is told of it."""
        self._stopped = True
        if self._finish is not None:
            self._finish.drop()

    def _await(self) -> None:
        """Go on at the end of the stretch that runs; or now, with whatever else comes at this instant."""
        end, finish = self.accelerator.end, self._finish
        if end is None:
            if not self._starting:
                self._starting = True
                self._kernel.last(self._start)
        elif finish is not None and finish.instant != end:
            finish.drop()
            self._finish = self._kernel.at(end, self._finished)

    def _finished(self) -> None:
        for served in self.accelerator.finish():
            self._on_end(served)
        self._await()

    def _start(self) -> None:
        self._starting = False
        if self._stopped:
            return
        end = self.accelerator.start(self._kernel.now)
        self._finish = None if end is None else self._kernel.at(end, self._finished)
