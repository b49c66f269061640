"""Every exchange from its route to its end, for whoever counts or writes down what has happened. It judges nothing.

What it keeps of an exchange is gone when that has ended. Routes are named by what is listed, never by what was asked.
"""

from collections.abc import Callable, Mapping

from dynasor.clock import Clock
from dynasor.errors import DynasorError
from dynasor.gateway.app import Route
from dynasor.gateway.call import Call
from dynasor.gateway.exchange import Exchange
from dynasor.gateway.refusals import Refused

NO_ROUTE = "none"
"""The route of what no route answers."""

_NO_ROUTE_REASONS = {404: "not_found", 405: "method_not_allowed"}
_BUG = 500


class Seen:
    """One exchange.

    Attributes:
        route: such as "/v1/models/NAME"; `NO_ROUTE` where none answers.
        began_at, ended_at: instants; without a route both are the end.
        call: what it asked a model, where it got so far.
        reason: why it was refused, or why its stream broke off; None where neither was so.
    """

    __slots__ = ("began_at", "call", "ended_at", "exchange", "reason", "route")

    def __init__(self, exchange: Exchange, route: str, began_at: float) -> None:
        self.exchange, self.route, self.began_at = exchange, route, began_at
        self.ended_at = began_at
        self.call: Call | None = None
        self.reason: str | None = None


class Observation:
    """Follows exchanges.

    Attributes:
        listeners: are told of each at its end; they must not raise.
    """

    def __init__(self, clock: Clock, *listeners: Callable[[Seen], None]) -> None:
        self._clock = clock
        self.listeners = list(listeners)
        self._open: dict[Exchange, Seen] = {}

    def routes(self, routes: Mapping[tuple[str, str], Route]) -> dict[tuple[str, str], Route]:
        """The same routes, observed."""
        return {key: self._observed(key[1], route) for key, route in routes.items()}

    def called(self, call: Call) -> None:
        """A call has ended; its exchange is about to."""
        seen = self._open.get(call.exchange)
        if seen is not None:
            seen.call = call

    def ended(self, exchange: Exchange) -> None:
        """An exchange has ended."""
        now = self._clock.now()
        seen = self._open.pop(exchange, None)
        if seen is None:
            seen = Seen(exchange, NO_ROUTE, now)
            seen.reason = _NO_ROUTE_REASONS.get(exchange.status)
        seen.ended_at = now
        if exchange.stopped is not None:
            seen.reason = _reason(exchange.stopped)
        elif exchange.status == _BUG and seen.reason is None and not _was_answered(seen):
            seen.reason = "internal_error"
        for listener in self.listeners:
            listener(seen)

    def _observed(self, path: str, route: Route) -> Route:
        name = f"{path}NAME" if path.endswith("/") else path

        async def observed(exchange: Exchange) -> None:
            seen = self._open[exchange] = Seen(exchange, name, self._clock.now())
            try:
                await route(exchange)
            except (Refused, DynasorError) as fault:
                seen.reason = _reason(fault)
                raise

        return observed


def _was_answered(seen: Seen) -> bool:
    """Whether it is a backend's answer that was passed on."""
    return seen.call is not None and seen.call.first_at is not None


def _reason(fault: Refused | DynasorError) -> str:
    """A word of ours for it, never what a client has sent."""
    if isinstance(fault, Refused):
        return fault.code or f"http_{fault.status}"
    return "engine_error" if fault.exit_code != 2 else "usage_error"
