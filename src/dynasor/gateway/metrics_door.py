"""Who may read the gateway's metrics: with a key of their own whoever has it, else this machine alone."""

import hmac
from hashlib import sha256

from dynasor.gateway.exchange import Exchange
from dynasor.gateway.keys import Everybody, hash_of, is_loopback
from dynasor.gateway.refusals import Refused

KEY_VARIABLE = "DYNASOR_METRICS_KEY"

_FORWARDED = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"})


class MetricsDoor:
    """Tenants' keys do not open it: metrics name all tenants."""

    def __init__(self, key: str, host: str) -> None:
        """Open to a key; where that is empty, to this machine.

        Args:
            key: of whoever may read.
            host: where the gateway listens.

        Raises:
            UsageError: the key is too short, or one that everybody knows.
        """
        self._digest = bytes.fromhex(hash_of(key)) if key else None
        self._local = Everybody(host)

    def admit(self, exchange: Exchange) -> None:
        """Let a request pass.

        Raises:
            Refused: 401 without the key; 403 from another machine, also through a proxy on this one, where there is no
                key, and for pages of other sites.
        """
        if self._digest is None:
            self._admit_local(exchange)
            return
        kind, _, key = exchange.headers.get(b"authorization", b"").partition(b" ")
        if kind.lower() != b"bearer" or not hmac.compare_digest(sha256(key.strip()).digest(), self._digest):
            told = f"this needs the key of ${KEY_VARIABLE}; send the header Authorization: Bearer KEY"
            raise Refused(401, told, "invalid_api_key")

    def _admit_local(self, exchange: Exchange) -> None:
        if not is_loopback(exchange.client) or not _FORWARDED.isdisjoint(exchange.headers):
            told = f"metrics are told to this machine only; start the gateway with a key in ${KEY_VARIABLE}"
            raise Refused(403, told, "not_local")
        self._local.tenant(exchange.headers)
