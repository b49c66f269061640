"""A server that is gone for a while: how long its requests are kept for it, and when it is asked again.

A pure decision: it is told when requests were let down and when any was answered, and is handed `now`.
"""

from dynasor.request import ProgramId, RequestId

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 16.0


class Outage:
    """Keeps a request for `patience_s` after it was first let down; with 0, none is kept.

    While nothing has been answered since the last let-down, the server is asked by one request at a time, after pauses
    that double from half a second up to 16 s.

    Attributes:
        pause_until: nothing is to be started before this instant.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._since: dict[RequestId, float] = {}  # when each request was first let down, of those that are kept
        self._failures = 0  # pauses since anything was answered
        self.pause_until = 0.0

    @property
    def is_on(self) -> bool:
        """Whether nothing has been answered since a request was let down."""
        return self._failures > 0

    def keeps(self, id: RequestId, now: float) -> bool:
        """A request was let down; returns whether it is to be asked again."""
        if not self._patience_s or now - self._since.setdefault(id, now) >= self._patience_s:
            self._since.pop(id, None)
            return False
        if now >= self.pause_until:  # those that fall together are one failure
            self.pause_until = now + min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**self._failures)
            self._failures += 1
        return True

    def forget(self, program: ProgramId) -> None:
        """A program's requests are not asked again."""
        for id in [id for id in self._since if id.program == program]:
            del self._since[id]

    def ended(self, id: RequestId, *, answered: bool) -> None:
        """A request has ended; where it was answered, the server is there."""
        self._since.pop(id, None)
        if answered:
            self._failures, self.pause_until = 0, 0.0
