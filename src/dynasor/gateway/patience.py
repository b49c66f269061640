"""How long an exchange may go without news. One look at all of them now and then costs less than a timer for each."""

from dataclasses import dataclass

from dynasor.clock import Clock
from dynasor.gateway.exchange import Exchange
from dynasor.gateway.refusals import Refused

_LONGEST_STEP_S = 1.0


@dataclass(slots=True, eq=False)
class Wait:
    """One wait.

    Attributes:
        until: when it has lasted too long; whoever has news moves it on.
        for_client: whether it is the client who does not read, rather than the backend that does not write.
    """

    exchange: Exchange
    until: float
    for_client: bool = False


class Patience:
    """All waits of a gateway. Whoever waits too long is stopped: up to a step later than it should be."""

    def __init__(self, clock: Clock, shortest_s: float) -> None:
        """No waits.

        Args:
            clock: of all instants.
            shortest_s: of the limits that are set.
        """
        self._clock, self._step_s = clock, min(_LONGEST_STEP_S, shortest_s / 4)
        self._waits: set[Wait] = set()

    def begin(self, exchange: Exchange, limit_s: float) -> Wait:
        """An exchange begins to wait."""
        wait = Wait(exchange, self._clock.now() + limit_s)
        self._waits.add(wait)
        return wait

    def end(self, wait: Wait) -> None:
        """It waits no more."""
        self._waits.discard(wait)

    def look(self) -> None:
        """Stop those that have waited too long; a client that does not read cannot be told."""
        now = self._clock.now()
        for wait in [wait for wait in self._waits if wait.until < now]:
            wait.exchange.stop(Refused(504, "the backend took too long", "backend_timeout", retry_after_s=1.0))
            if wait.for_client:
                wait.exchange.abort()

    async def watch(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            await self._clock.sleep(self._step_s)
            self.look()
