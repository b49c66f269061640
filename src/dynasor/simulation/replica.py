"""An accelerator in virtual time: the kernel drives it, and whoever submits is told of the end of each request.

Also of its milestones, if it has any, before the ends of the same instant, as live engines report.
"""

from collections.abc import Callable

from dynasor.request import RequestId
from dynasor.simulation.kernel import Event, Kernel
from dynasor.simulation.requests import Served, SimulatedRequest
from dynasor.simulation.stepping import Stepping


class Replica:
    """One engine behind a kernel.

    What is submitted while `on_end` is told of a request takes part in the very next step, as does all that is
    submitted at the instant at which a step starts. Where the server takes its time to read a request, it reads one
    after the other, beside the steps.
    """

    def __init__(
        self,
        kernel: Kernel,
        accelerator: Stepping,
        on_end: Callable[[Served], None],
        entry_ps: int = 0,
        on_growth: Callable[[RequestId, int], None] | None = None,
    ) -> None:
        self.accelerator = accelerator
        self._kernel = kernel
        self._on_end = on_end
        self._on_growth = on_growth
        self._entry_ps = entry_ps
        self._entered_at = 0  # when all that came so far is read
        self._entering: dict[RequestId, Event] = {}
        self._finish: Event | None = None
        self._starting = self._stopped = False

    def has(self, id: RequestId) -> bool:
        """Whether a request is here and has not ended."""
        return id in self._entering or self.accelerator.has(id)

    def submit(self, request: SimulatedRequest) -> None:
        """A request comes at the present instant."""
        if not self._entry_ps:
            self._enter(request)
            return
        self._entered_at = max(self._entered_at, self._kernel.now) + self._entry_ps
        self._entering[request.id] = self._kernel.at(self._entered_at, lambda: self._read(request))

    def cancel(self, id: RequestId) -> None:
        """Cut a request at the present instant; one that has ended, or is not known, is left."""
        entering = self._entering.pop(id, None)
        if entering is not None:
            entering.drop()
            ended: Served | None = Served.unstarted(id, self._kernel.now_s)
        else:
            ended = self.accelerator.cancel(id, self._kernel.now)
            self._await()
        if (told := ended) is not None:
            self._kernel.at(self._kernel.now, lambda: self._on_end(told))

    def stop(self) -> None:
        """It dies: what is here is lost, and nobody is told of it."""
        self._stopped = True
        for event in self._entering.values():
            event.drop()
        if self._finish is not None:
            self._finish.drop()

    def _read(self, request: SimulatedRequest) -> None:
        del self._entering[request.id]
        self._enter(request)

    def _enter(self, request: SimulatedRequest) -> None:
        self.accelerator.submit(request, self._kernel.now)
        self._await()

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
        ended = self.accelerator.finish()
        if self._on_growth is not None:
            for id, tokens in self.accelerator.reached:
                self._on_growth(id, tokens)
        for served in ended:
            self._on_end(served)
        self._await()

    def _start(self) -> None:
        self._starting = False
        if self._stopped:
            return
        end = self.accelerator.start(self._kernel.now)
        self._finish = None if end is None else self._kernel.at(end, self._finished)
