"""Whether and when a failed request is sent again. Decisions only: nothing here waits, sends or reads a clock."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from dynasor.errors import EngineError, UsageError

RETRYABLE_STATUSES = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
MENDED_BY_HAND = frozenset({401, 402, 403, 404})
"""A key, an account or a model that is gone: no fault of the request, which may succeed once that is mended."""
NOT_IN_THIS_RUN_S = math.inf
"""The wait of a fault that may pass some day, but for which another try now is useless."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How stubborn an engine is.

    Attributes:
        retries: the most retries of one request.
        base_s: the k-th retry waits a uniform draw from [0, min(cap_s, base_s * 2**k)]: full jitter.
        cap_s: see `base_s`.
        longest_wait_s: where a server asks for a longer wait than this, the request fails now.
        budget_share: retries of all requests together, as a share of the requests sent.
        budget_floor: retries that are always allowed, whatever the share.
    """

    retries: int = 4
    base_s: float = 0.5
    cap_s: float = 8.0
    longest_wait_s: float = 120.0
    budget_share: float = 0.2
    budget_floor: int = 10

    def __post_init__(self) -> None:
        if min(self.retries, self.base_s, self.cap_s, self.longest_wait_s, self.budget_share, self.budget_floor) < 0:
            raise UsageError(f"a retry policy holds no negative number: {self}")


class RetryBudget:
    """A token bucket over all requests: an outage must not multiply the load on the server that suffers it.

    At any time, retries <= max(floor, share of the requests sent so far).
    """

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._sent_count = 0
        self._retry_count = 0

    def deposit(self) -> None:
        """Count a request that is sent for the first time."""
        self._sent_count += 1

    def withdraw(self) -> bool:
        """Take one retry; False where none is left."""
        earned = max(self._policy.budget_floor, self._policy.budget_share * self._sent_count)
        if self._retry_count + 1 > earned:
            return False
        self._retry_count += 1
        return True


def wait_s(policy: RetryPolicy, retry_count: int, fault: EngineError, rng: random.Random) -> float | None:
    """Seconds to wait before the next retry, after `retry_count` of them; None: the request has failed.

    A wait that the server asked for is never shortened; the jitter is added to it, lest all come back at one instant.
    """
    asked_s = fault.retry_after_s or 0.0
    if not fault.retryable or retry_count >= policy.retries or asked_s > policy.longest_wait_s:
        return None
    return asked_s + rng.uniform(0.0, min(policy.cap_s, policy.base_s * 2.0 ** min(retry_count, 64)))


def asked_wait_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that a response's headers ask to wait; None where they do not tell, or not in a way that can be read.

    Args:
        headers: with names in lower case, or a mapping that does not mind.
        now: the date by the server's own clock, against which a `Retry-After` date is measured.
    """
    if headers.get("x-should-retry", "").strip().lower() == "false":
        return NOT_IN_THIS_RUN_S
    if (milliseconds := _number(headers.get("retry-after-ms", ""))) is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "")
    seconds = _number(text)
    return seconds if seconds is not None else _seconds_until(text, now)


def http_date(text: str) -> datetime | None:
    """Read a date as HTTP writes it; None where it is none."""
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def _seconds_until(text: str, now: datetime) -> float | None:
    date = http_date(text)
    return None if date is None else max(0.0, (date - now).total_seconds())


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return max(0.0, value) if math.isfinite(value) else None
