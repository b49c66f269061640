"""A session whose faults stay its own: where its program breaks, it alone ends. It knows no host."""

from collections.abc import Callable

from dynasor.errors import DynasorError, ProgramError
from dynasor.programs.session import Effect, Session
from dynasor.request import Completion, Report


class ContainedSession(Session):
    """A session among those of others, which must not suffer by it.

    Attributes:
        fault: what its program raised; from then on it asks for nothing, and is to be withdrawn.
    """

    fault: DynasorError | None = None

    def start(self, now: float) -> list[Effect]:
        """Begin, or learn that it cannot."""
        return self._contained(lambda: super(ContainedSession, self).start(now))

    def land(self, completion: Completion, now: float) -> list[Effect]:
        """Take in the end of a request, if it still matters."""
        return self._contained(lambda: super(ContainedSession, self).land(completion, now))

    def report(self, report: Report, now: float) -> list[Effect]:
        """Take in what a request has generated so far, if it still matters."""
        return self._contained(lambda: super(ContainedSession, self).report(report, now))

    def _contained(self, step: Callable[[], list[Effect]]) -> list[Effect]:
        if self.fault is not None:
            return []
        try:
            return step()
        except DynasorError as fault:
            self.fault = fault
        except Exception as fault:  # noqa: BLE001  (a program may be anybody's, and raise anything)
            self.fault = ProgramError(f"{type(self.program).__name__} failed: {type(fault).__name__}: {fault}")
        return []
