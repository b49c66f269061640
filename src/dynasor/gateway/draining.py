"""Whether a gateway takes new requests. It knows no socket and no signal."""

from dynasor.gateway.refusals import Refused

_ELSEWHERE_S = 1.0


class Draining:
    """Begins once, and does not end."""

    def __init__(self) -> None:
        self.begun = False

    def begin(self) -> None:
        """Take no more."""
        self.begun = True

    def refuse(self) -> None:
        """Let a request pass while it has not begun.

        Raises:
            Refused: 503.
        """
        if self.begun:
            raise shutting_down("it takes no new requests")


def shutting_down(told: str) -> Refused:
    """What clients are told whose requests are not answered, or not to their end."""
    return Refused(503, f"the gateway is shutting down: {told}", "shutting_down", retry_after_s=_ELSEWHERE_S)
