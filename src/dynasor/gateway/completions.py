"""The routes that ask a model: who asks, what, and whether it may; what answers then is handed in."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from itertools import count

from dynasor.clock import Clock
from dynasor.gateway.asked import read_asked
from dynasor.gateway.call import Call
from dynasor.gateway.client_programs import scoped
from dynasor.gateway.draining import Draining
from dynasor.gateway.exchange import Exchange
from dynasor.gateway.identity import identify
from dynasor.gateway.keys import Doorkeeper
from dynasor.gateway.limits import Limits
from dynasor.gateway.refusals import Refused
from dynasor.request import ProgramId

Answer = Callable[[Call], Awaitable[None]]
DEADLINE_HEADER = b"x-dynasor-deadline-s"


class Completions:
    """`/v1/chat/completions` and `/v1/completions`."""

    def __init__(
        self, answer: Answer, turn: Callable[[Call], AbstractAsyncContextManager[None]], door: Doorkeeper,
        limits: Limits, draining: Draining, clock: Clock, ended: Callable[[Call], None] | None = None,
    ) -> None:  # fmt: skip
        """Nothing is asked yet.

        Args:
            answer: answers a call whose turn has come.
            turn: of a call, as a context: to enter is to wait for it.
            door: knows whose request it is.
            limits: of one request.
            draining: whether new requests are taken.
            clock: of all instants.
            ended: is told of every call at its end.
        """
        self._answer, self._turn, self._door, self._limits = answer, turn, door, limits
        self._draining, self._clock, self._ended = draining, clock, ended
        self._numbers = count()

    async def __call__(self, exchange: Exchange) -> None:
        """Answer."""
        tenant = self._door.tenant(exchange.headers)
        self._draining.refuse()
        body = await exchange.body(self._limits.body_bytes, self._limits.body_s)
        asked = read_asked(body, self._limits)
        if tenant.max_branches is not None and asked.choices > tenant.max_branches:
            told = f"{asked.choices} answers are asked for; {tenant.name} may have {tenant.max_branches} at most"
            raise Refused(400, told, "limit_exceeded", "n")
        identity = identify(asked, exchange.headers)
        program = ProgramId(f"#{next(self._numbers)}") if identity.id is None else scoped(tenant, identity.id)
        path = exchange.path.removeprefix("/v1")
        now, deadline_s = self._clock.now(), _deadline(exchange)
        call = Call(exchange, tenant, asked, body, identity, program, path, now, deadline_s)
        exchange.watch()
        try:
            async with self._turn(call):
                await self._answer(call)
        finally:
            if self._ended is not None:
                self._ended(call)


def _deadline(exchange: Exchange) -> float | None:
    told = exchange.headers.get(DEADLINE_HEADER)
    if told is None:
        return None
    try:
        seconds = float(told)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        shown = told[:40].decode("latin-1")
        raise Refused(400, f"x-dynasor-deadline-s is '{shown}'; it must be seconds, such as 2.5", "invalid_value")
    return seconds
