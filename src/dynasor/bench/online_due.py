"""Sessions under deadlines in virtual time: allocation is told the instant and the pace, as the dispatcher tells it.

It decides nothing; `allocation.overload` does.
"""

from dynasor.allocation.allocator import InRounds
from dynasor.allocation.overload import Overload
from dynasor.allocation.progress import Policy
from dynasor.programs.program import Program
from dynasor.programs.session import Effect, Finished, Session
from dynasor.request import Completion
from dynasor.scheduling.pace import Pace
from dynasor.simulation.requests import Served

_WEIGHT = 0.05
"""Of one request, in the mean speed of requests."""


class PacedOverload:
    """What the programs of one simulated run ask together.

    Attributes:
        overload: what shrinks grants.
    """

    def __init__(self) -> None:
        self.overload = Overload()
        self._pace = Pace()
        self._request_tokens_per_s: float | None = None

    def served(self, served: Served) -> None:
        """A request has ended."""
        self.overload.now = served.ended_at
        self._pace.served(served.tokens, 1, served.ended_at)
        if served.admitted_at is not None and served.ended_at > served.admitted_at and served.tokens:
            speed = served.tokens / (served.ended_at - served.admitted_at)
            before = self._request_tokens_per_s or speed
            self._request_tokens_per_s = before + _WEIGHT * (speed - before)
        self.overload.pace(self._pace.tokens_per_s, self._request_tokens_per_s)

    def session(self, program: Program, policy: Policy, within_s: float) -> Session:
        """A program that is due so many seconds after it comes."""
        return _DueSession(self.overload, program, policy, within_s)


class _DueSession(Session):
    def __init__(self, overload: Overload, program: Program, policy: Policy, within_s: float) -> None:
        super().__init__(program, overload.due(program.id, within_s, InRounds(policy)))
        self._overload = overload

    def start(self, now: float) -> list[Effect]:
        """At its arrival."""
        self._overload.now = now
        return super().start(now)

    def land(self, completion: Completion, now: float) -> list[Effect]:
        """It asks for more at the present instant, and leaves at its end."""
        self._overload.now = now
        effects = super().land(completion, now)
        if any(isinstance(effect, Finished) for effect in effects):
            self._overload.leave(self.program.id)
        return effects
