"""The programs that clients drive: many requests of one id, open until it is closed or has long been silent.

A pure core, handed `now`. It tells the inter-program scheduler of each, so that what is known of a program outlives its
requests. It knows no socket.
"""

from collections import OrderedDict
from dataclasses import dataclass
from itertools import islice, takewhile

from dynasor.gateway.tenants import Tenant
from dynasor.gateway.turns import Turns
from dynasor.request import ProgramId

_LOOKED_AT = 1024


@dataclass(slots=True, eq=False)
class ClientProgram:
    """One program.

    Attributes:
        id: scoped by its tenant.
        in_flight: its requests that wait or run.
        requests: in all.
        tokens: of their prompts and answers.
        is_closing: whether it ends with the last of these.
    """

    id: ProgramId
    tenant: Tenant
    opened_at: float
    heard_at: float
    in_flight: int = 0
    requests: int = 0
    tokens: int = 0
    is_closing: bool = False


class ClientPrograms:
    """Those that are open. Beyond `most`, the one longest silent is closed."""

    def __init__(self, turns: Turns, idle_s: float, most: int = 1 << 14) -> None:
        self._turns, self._idle_s, self._most = turns, idle_s, most
        self._open: OrderedDict[ProgramId, ClientProgram] = OrderedDict()  # by when they were last heard of

    def __len__(self) -> int:
        return len(self._open)

    def find(self, tenant: Tenant, id: str) -> ClientProgram | None:
        """The open program of a tenant by its id."""
        return self._open.get(scoped(tenant, id))

    def latest(self, tenant: str | None, most: int) -> list[ClientProgram]:
        """Those last heard of, of a tenant or of all; it looks through few, however many are open."""
        looked_at = islice(reversed(self._open.values()), _LOOKED_AT)
        return list(islice((one for one in looked_at if tenant in (None, one.tenant.name)), most))

    def enter(self, tenant: Tenant, id: str, now: float, remaining_tokens: float | None = None) -> ClientProgram:
        """A request of a program arrives; it opens the program if need be, and may tell what that needs yet."""
        key = scoped(tenant, id)
        program = self._open.get(key)
        if program is None:
            program = self._open[key] = ClientProgram(key, tenant, now, now)
            self._turns.lane(tenant).scheduler.begin(key, now)
        if remaining_tokens is not None:
            self._turns.lane(tenant).scheduler.tell(key, remaining_tokens, now)
        self._hear(program, now)
        program.in_flight += 1
        program.requests += 1
        program.is_closing = False
        if len(self._open) > self._most:
            self._crowd_out(now)
        return program

    def leave(self, program: ClientProgram, tokens: int, now: float) -> None:
        """One of its requests has ended, or was never started."""
        program.in_flight -= 1
        program.tokens += tokens
        if program.is_closing and not program.in_flight:
            self._end(program, now)
        else:
            self._hear(program, now)

    def close(self, program: ClientProgram, now: float) -> bool:
        """End it now, or with the last of its requests; returns whether it has ended."""
        program.is_closing = True
        if program.in_flight:
            return False
        self._end(program, now)
        return True

    def expire(self, now: float) -> list[ClientProgram]:
        """Close those that were silent for too long; one with requests under way is not silent."""
        silent = takewhile(lambda program: program.heard_at <= now - self._idle_s, self._open.values())
        ended = [program for program in silent if not program.in_flight]
        for program in ended:
            self._end(program, now)
        return ended

    def _crowd_out(self, now: float) -> None:
        oldest = next((program for program in self._open.values() if not program.in_flight), None)
        if oldest is not None:
            self._end(oldest, now)

    def _hear(self, program: ClientProgram, now: float) -> None:
        program.heard_at = now
        self._open.move_to_end(program.id)

    def _end(self, program: ClientProgram, now: float) -> None:
        del self._open[program.id]
        self._turns.lane(program.tenant).scheduler.end(program.id, now)


def scoped(tenant: Tenant, id: str) -> ProgramId:
    """What a tenant calls by an id; two tenants may choose the same."""
    return ProgramId(f"{tenant.name}/{id}")
