"""Quotas by the minute: a bucket that refills. It is handed `now`, in seconds of a clock that never goes back."""

from dynasor.gateway.refusals import Refused
from dynasor.gateway.tenants import Tenant

_MINUTE = 60.0


class Bucket:
    """Holds what may be used at once, at most a minute's worth, and refills evenly."""

    def __init__(self, per_minute: float) -> None:
        self._rate = per_minute / _MINUTE
        self._most = self._level = float(per_minute)
        self._filled_at: float | None = None

    def wait_s(self, wanted: float, now: float) -> float:
        """How long until so much may be used; 0 where it may. More than a minute's worth may be once it is full."""
        if self._filled_at is not None:
            self._level = min(self._most, self._level + (now - self._filled_at) * self._rate)
        self._filled_at = now
        return max(0.0, (min(wanted, self._most) - self._level) / self._rate)

    def use(self, amount: float) -> None:
        """Use it; the level may go below nothing, for what an answer takes is known at its end."""
        self._level -= amount


class Quota:
    """What a tenant may still use."""

    def __init__(self, tenant: Tenant) -> None:
        self._name = tenant.name
        self._requests = Bucket(tenant.requests_per_minute) if tenant.requests_per_minute else None
        self._tokens = Bucket(tenant.tokens_per_minute) if tenant.tokens_per_minute else None

    def wait_s(self, now: float) -> float:
        """How long until one more request may be admitted; it is not counted."""
        buckets = [bucket for bucket in (self._tokens, self._requests) if bucket is not None]
        return max((bucket.wait_s(1.0, now) for bucket in buckets), default=0.0)

    def admit(self, now: float) -> None:
        """Count one request.

        Raises:
            Refused: 429, telling when to come again.
        """
        if self._tokens is not None and (wait_s := self._tokens.wait_s(1.0, now)) > 0:
            raise self._exhausted("tokens", wait_s)
        if self._requests is not None:
            if (wait_s := self._requests.wait_s(1.0, now)) > 0:
                raise self._exhausted("requests", wait_s)
            self._requests.use(1.0)

    def spend(self, tokens: int, now: float) -> None:
        """An answer took so many tokens."""
        if self._tokens is not None:
            self._tokens.wait_s(0.0, now)
            self._tokens.use(tokens)

    def _exhausted(self, what: str, wait_s: float) -> Refused:
        told = f"{self._name} has used its {what} of this minute; come again in {wait_s:.1f} s"
        return Refused(429, told, "rate_limit_exceeded", retry_after_s=wait_s)
