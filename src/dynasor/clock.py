"""The only place that reads a clock or waits. Everything else is handed `now`, or a `Clock`."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds, and waiting."""

    def now(self) -> float:
        """Seconds since an arbitrary instant; never goes back."""
        ...

    async def sleep(self, duration_s: float) -> None:
        """Wait."""
        ...


class WallClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    async def sleep(self, duration_s: float) -> None:
        """Wait in wall time."""
        await asyncio.sleep(duration_s)


def utc_nanoseconds() -> int:
    """The date and time as nanoseconds of the epoch, for those who compare machines."""
    return time.time_ns()


def utc_timestamp() -> str:
    """The date and time, for people to read, in ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
