"""Asks this very gateway, in its own process, what an item of a batch asks: no other way than a request over HTTP goes.

So a batch's requests are admitted, counted and answered like all others of their tenant, and are cut as if their client
had left. Only they wait in a lane of their own, with a smaller share.
"""

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, fields
from typing import Any

from dynasor.gateway.app import Gateway
from dynasor.gateway.exchange import CONNECTION
from dynasor.gateway.refusals import Refused
from dynasor.gateway.tenants import Tenant

_TENANT = b"x-dynasor-batch-tenant"  # only this process can say it: no request that came by a socket gets here
_ID = b"x-request-id"
BATCH_LANE = "/batch"
"""Behind a tenant's name, its lane."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTenant(Tenant):
    """A tenant as its batches wait: with its quotas and its limits, and a share and a lane of their own."""

    def __post_init__(self) -> None:
        """It was checked before; its name is none that a tenant could have."""


def batch_tenant(tenant: Tenant, share: float) -> BatchTenant:
    """A tenant's batches, with so much of its share."""
    told = {field.name: getattr(tenant, field.name) for field in fields(Tenant)}
    return BatchTenant(**{**told, "name": tenant.name + BATCH_LANE, "share": tenant.share * share})


class BatchDoor:
    """Implements `keys.Doorkeeper` for what comes from a batch."""

    def __init__(self, tenants: Mapping[str, Tenant]) -> None:
        """Open to tenants by their names."""
        self._tenants = tenants

    def tenant(self, headers: Mapping[bytes, bytes]) -> Tenant:
        """By the header that `Asking` gives.

        Raises:
            Refused: 401, as a key that was taken back.
        """
        tenant = self._tenants.get(headers.get(_TENANT, b"").decode())
        if tenant is None:
            raise Refused(401, "the tenant of this batch is not known here any more", "invalid_api_key")
        return tenant


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back.

    Attributes:
        headers: by name in small letters.
    """

    status: int
    headers: Mapping[bytes, bytes]
    body: bytes


class Cut:
    """Cuts what is asked; implements `exchange.Connection`."""

    def __init__(self) -> None:
        self._callback: Callable[[], None] | None = None
        self._is_lost = False

    def tell_when_lost(self, callback: Callable[[], None] | None) -> None:
        """See `Connection`."""
        self._callback = callback
        if callback is not None and self._is_lost:
            callback()

    def abort(self) -> None:
        """See `Connection`."""
        self()

    def gather(self) -> None:
        """See `Connection`; pieces cost nothing here."""

    def flush(self) -> None:
        """See `Connection`."""

    def __call__(self) -> None:
        """Nobody waits for the answer any more; to say so again changes nothing."""
        if self._is_lost:
            return
        self._is_lost = True
        if self._callback is not None:
            self._callback()


class Asking:
    """Asks an application, as a server beneath it would."""

    def __init__(self, app: Gateway) -> None:
        """An application whose routes are behind a `BatchDoor`."""
        self._app = app

    async def __call__(self, tenant: str, path: str, body: bytes, request_id: str, cut: Cut) -> Answered | None:
        """The answer; None where it was cut before there was one. To be called in a task of its own.

        Args:
            tenant: whose request it is.
            path: such as "/v1/completions".
            body: as a client would send it.
            request_id: as the log calls it.
            cut: cuts it.
        """
        reply = _Reply(body)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (_TENANT, tenant.encode()),
            (_ID, request_id.encode()),
        ]
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers, CONNECTION: cut}
        await self._app(scope, reply.receive, reply.send)
        if not reply.is_whole:
            return None
        return Answered(reply.status, reply.headers, b"".join(reply.pieces))


class _Reply:
    """What is sent, and what is received."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.status, self.is_whole = 0, False
        self.headers: dict[bytes, bytes] = {}
        self.pieces: list[bytes] = []

    async def receive(self) -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.lower(): value for name, value in message["headers"]}
            return
        self.pieces.append(message.get("body", b""))
        self.is_whole = not message.get("more_body", False)
