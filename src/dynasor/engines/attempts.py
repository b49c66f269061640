"""Who wants to know of every attempt that an engine makes at a request, and may have it tell a server of its trace."""

from collections.abc import Mapping
from typing import Protocol

from dynasor.errors import EngineError
from dynasor.request import Request, RequestId


class Attempts(Protocol):
    """Is told as it happens; it must not raise."""

    def begin(self, request: Request, url: str) -> Mapping[str, str]:
        """A request is about to be sent to a server, for the first time or again; returns further headers of it."""
        ...

    def lost(self, id: RequestId, url: str, fault: EngineError) -> None:
        """An attempt has failed; another one may follow."""
        ...


class Unheard:
    """Nobody wants to know."""

    def begin(self, request: Request, url: str) -> Mapping[str, str]:
        """No further headers."""
        del request, url
        return {}

    def lost(self, id: RequestId, url: str, fault: EngineError) -> None:
        """Nothing to do."""
