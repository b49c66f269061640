"""Who may look at the dashboard, and what they see of it.

Where there are keys, nothing is told without one: a tenant's shows that tenant's programs, with their texts, and the
key of the metrics shows the programs of all, without. Where there are none, whoever is on this machine sees everything.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from dynasor.gateway.exchange import Exchange
from dynasor.gateway.keys import Doorkeeper, Everybody
from dynasor.gateway.metrics_door import MetricsDoor
from dynasor.gateway.refusals import Refused


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who looks.

    Attributes:
        tenant: whose programs are seen; None: everybody's, without prompts and answers.
    """

    tenant: str | None

    @property
    def sees_texts(self) -> bool:
        """Whether prompts and answers may be shown: to those whose key asked."""
        return self.tenant is not None


class DashboardDoor:
    """Lets in who may."""

    def __init__(self, tenants: Doorkeeper, metrics_key: str, host: str) -> None:
        """Open to the tenants' keys and to that of the metrics.

        Args:
            tenants: know whose a key is; `Everybody`, where there are no keys.
            metrics_key: empty where there is none.
            host: where the gateway listens.

        Raises:
            UsageError: the key of the metrics is too short, or one that everybody knows.
        """
        self._tenants = tenants
        self._operator = MetricsDoor(metrics_key, host) if metrics_key else None
        self._local = MetricsDoor("", host) if isinstance(tenants, Everybody) else None

    def viewer(self, exchange: Exchange) -> Viewer:
        """Who it is.

        Raises:
            Refused: 401 without a key that is known; 403 where there are no keys, from elsewhere.
        """
        if self._operator is not None and _opens(self._operator, exchange):
            return Viewer(None)
        if self._local is not None:
            self._local.admit(exchange)
        return Viewer(self._tenants.tenant(exchange.headers).name)

    def page(self, headers: Mapping[bytes, bytes]) -> None:
        """Let the page itself pass, which tells nothing.

        Raises:
            Refused: 403, where there are no keys, to other hosts and for pages of other sites.
        """
        if self._local is not None:
            self._tenants.tenant(headers)


def _opens(door: MetricsDoor, exchange: Exchange) -> bool:
    try:
        door.admit(exchange)
    except Refused:
        return False
    return True
