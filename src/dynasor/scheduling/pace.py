"""How fast tokens are served, over all and to one request: means over the last while in which anything ran."""

from math import exp


class Pace:
    """Exponentially weighted means; it is told what was served, and handed `now`.

    Attributes:
        memory_s: after so many seconds of service, what was served before counts for a third.
    """

    def __init__(self, memory_s: float = 10.0) -> None:
        self.memory_s = memory_s
        self._at: float | None = None
        self._tokens = self._busy_s = self._request_s = 0.0

    def served(self, tokens: int, running: int, now: float) -> None:
        """Since the last call, so many tokens were generated, and so many requests ran."""
        elapsed_s = 0.0 if self._at is None or not running else now - self._at
        kept = exp(-elapsed_s / self.memory_s)
        self._tokens = self._tokens * kept + tokens
        self._busy_s = self._busy_s * kept + elapsed_s
        self._request_s = self._request_s * kept + elapsed_s * running
        self._at = now

    @property
    def tokens_per_s(self) -> float | None:
        """Of all requests together; None before anything was served."""
        return self._tokens / self._busy_s if self._tokens and self._busy_s else None

    @property
    def request_tokens_per_s(self) -> float | None:
        """Of one request; None before anything was served."""
        return self._tokens / self._request_s if self._tokens and self._request_s else None
