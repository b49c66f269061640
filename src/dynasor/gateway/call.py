"""One request to a model on its way through the gateway: whose it is, what it asks, what it has cost.

It is filled in as the request goes on, and is handed to whoever listens when it has ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dynasor.gateway.asked import Asked
from dynasor.gateway.exchange import Exchange
from dynasor.gateway.identity import Identity
from dynasor.gateway.spent import Spent
from dynasor.gateway.tenants import Tenant
from dynasor.request import ProgramId


@dataclass(slots=True, eq=False)
class Call:
    """A request to a model.

    Attributes:
        identity: the program that it names.
        program: what schedules and places it; one of its own where it names none.
        path: below the version, such as "/chat/completions".
        deadline_s: within which its client wants the answer to begin, or be told at once that it will not; None where
            the client does not say.
        arrived_at, started_at, first_at: instants: it came, it was sent to a backend, something of the answer came;
            None before.
        backend: that answered it, or was asked last.
        attempts: backends asked.
        lost: the attempts that a backend lost: when, where, and a word for it.
        onward: headers that tell a backend of the trace that it is part of; empty: as the client told it.
    """

    exchange: Exchange
    tenant: Tenant
    asked: Asked
    body: bytes
    identity: Identity
    program: ProgramId
    path: str
    arrived_at: float
    deadline_s: float | None = None
    started_at: float | None = None
    first_at: float | None = None
    backend: str = ""
    attempts: int = 0
    lost: list[tuple[float, str, str]] = field(default_factory=list)
    onward: Mapping[str, str] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)
