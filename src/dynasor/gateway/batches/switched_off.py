"""What clients are told of batches by a gateway that has nowhere to keep them."""

from dynasor.gateway.exchange import Exchange
from dynasor.gateway.keys import Doorkeeper
from dynasor.gateway.refusals import Refused

_TOLD = (
    "batches are off here, for there is nowhere to keep them: start the gateway with --batch-store sqlite:FILE or"
    " --batch-store postgresql://..."
)


class SwitchedOff:
    """A route."""

    def __init__(self, door: Doorkeeper) -> None:
        self._door = door

    async def __call__(self, exchange: Exchange) -> None:
        """Refuse."""
        self._door.tenant(exchange.headers)
        raise Refused(404, _TOLD, "batches_off")
