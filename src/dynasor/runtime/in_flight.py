"""How many requests an engine is given at a time: a fixed number, or what keeps it just full.

A pure controller: it is told what was served and when, reads no clock and knows no engine. "Just full" is where more
requests in flight no longer bring more tokens a second: beyond that they only wait in the engine's own queue, where
nobody orders them, and every program takes longer.
"""

from dataclasses import dataclass

_START = 4
_ELASTICITY = 0.2  # a tenth more in flight is worth it where it brings a fiftieth more tokens a second
_CLIMB, _STEP = 2.0, 1.25  # factors: at first, and once the engine has been full
_LANDINGS = 8  # a window has at least so many, and twice as many as are in flight
_REST = 4  # windows at one limit before another is tried


@dataclass(frozen=True, slots=True)
class Limits:
    """How much runs at a time. Programs are admitted while both limits leave room.

    Attributes:
        requests: in flight; the most of them where the limit adapts.
        programs: started and not ended.
        adaptive: whether the number in flight follows what the engine makes of it.
        outage_s: how long a request that the engine let down is kept and asked again, before its program is left for a
            resume; see `runtime.outage`.
    """

    requests: int = 64
    programs: int = 64
    adaptive: bool = False
    outage_s: float = 0.0


@dataclass(slots=True)
class _Window:
    """What was served while one limit held. The requests that were in flight before it are let go by first."""

    settling: int
    opened_at: float | None = None
    tokens: int = 0
    landings: int = 0
    queued: int | None = None  # the fewest at any time


class InFlightLimit:
    """The most requests that may be in flight now; it stays as it is.

    Attributes:
        now: that number.
    """

    def __init__(self, requests: int) -> None:
        self.now = requests

    def served(self, now: float, tokens: int, landings: int, *, full: bool, queued: int | None) -> None:
        """Something happened; see `AdaptiveLimit`."""


class AdaptiveLimit(InFlightLimit):
    """Climbs while the engine answers with more tokens a second, then stays about there.

    It compares windows of as many landings as tell something. While the throughput rises by at least a fifth of what
    the limit does, the limit is doubled; then it goes back, rests, and tries a quarter more and a fifth less by turns:
    the engine, or what it is asked, may change. Where the engine tells how many requests wait in its own queue, the
    limit goes down by as many as always did.
    """

    def __init__(self, most: int, start: int = _START) -> None:
        super().__init__(min(start, most))
        self._most = most
        self._factor = _CLIMB
        self._before: tuple[int, float] | None = None  # the limit that is compared with, and its tokens a second
        self._rest = 0
        self._window = _Window(self.now)

    def served(self, now: float, tokens: int, landings: int, *, full: bool, queued: int | None) -> None:
        """Something happened.

        Args:
            now: instant in seconds.
            tokens: generated since the last call.
            landings: requests that ended since.
            full: whether as many were in flight as may be; else what was served tells nothing of the limit.
            queued: how many wait in the engine's own queue; None where it does not tell.
        """
        window = self._window
        if not full:
            self._window = _Window(self.now)
        elif window.opened_at is None:
            window.settling -= landings
            if window.settling <= 0:
                window.opened_at = now
        else:
            window.tokens += tokens
            window.landings += landings
            if queued is not None:
                window.queued = queued if window.queued is None else min(queued, window.queued)
            if window.landings >= max(_LANDINGS, 2 * self.now) and now > window.opened_at:
                self._judge(window.tokens / (now - window.opened_at), window.queued or 0)

    def _judge(self, tokens_per_s: float, queued: int) -> None:
        if queued:
            self._settle(self.now - queued)
        elif self._before is None and self._rest:
            self._rest -= 1
            self._go(self.now)
        elif self._before is None or self._is_worth(tokens_per_s, *self._before):
            self._before = (self.now, tokens_per_s)
            self._go(round(self.now * self._factor) or 1)
        else:
            self._settle(self._before[0])

    def _is_worth(self, tokens_per_s: float, limit: int, before: float) -> bool:
        return tokens_per_s >= before * (1 + _ELASTICITY * (self.now / limit - 1))

    def _settle(self, limit: int) -> None:
        """Rest at a limit, and then try the other way."""
        self._factor = 1 / _STEP if self._factor > 1 else _STEP
        self._before, self._rest = None, _REST
        self._go(limit)

    def _go(self, limit: int) -> None:
        bounded = max(1, min(self._most, limit))
        if bounded == self.now and self._before is not None:  # there is nothing to try in this direction
            self._before = None
            self._settle(bounded)
            return
        self._window = _Window(0 if bounded == self.now else max(bounded, self.now))
        self.now = bounded


def in_flight_limit(limits: Limits) -> InFlightLimit:
    """The limit on requests that some limits ask for."""
    return AdaptiveLimit(limits.requests) if limits.adaptive else InFlightLimit(limits.requests)
