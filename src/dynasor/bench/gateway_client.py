"""One connection of a load generator: a request after the other, and when each answer and each token came.

It is made to be cheap. It knows no loop, closed or open: `done` is called at the end of every answer.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import httptools

from dynasor.clock import WallClock

_SENT_AT = re.compile(rb'"content": ?"(\d+\.\d+) ')
_SAID = 200  # bytes of a refusal that are kept


@dataclass(slots=True)
class Times:
    """Everything that was timed, in seconds."""

    latency: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    delay: list[float] = field(default_factory=list)
    failed: int = 0
    fault: str = ""

    def fail(self, fault: str) -> None:
        """One request has failed."""
        self.failed += 1
        self.fault = self.fault or fault


class Connection(asyncio.Protocol):
    """Asks one and the same thing."""

    def __init__(self, request: bytes, times: Times, done: Callable[["Connection"], None]) -> None:
        self._request, self._times, self._done = request, times, done
        self._now = WallClock().now
        self._asked = self._left = False
        self._due_at = 0.0
        self.began = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """It is open."""
        self._transport = transport
        self._parser = httptools.HttpResponseParser(self)

    def connection_lost(self, fault: Exception | None) -> None:
        """It is gone."""
        wanted, self._asked = self._asked and not self._left, False
        self._left = True
        if wanted:
            self._times.fail(f"the connection was closed ({fault})")
            self._done(self)

    @property
    def is_open(self) -> bool:
        """Whether it can be asked."""
        return not self._left

    def ask(self, due_at: float) -> None:
        """Send the request; the answer is timed from when it was due."""
        self._due_at, self._asked, self.began = due_at, True, False
        self._transport.write(self._request)

    def leave(self) -> None:
        """Close it, whatever is still to come."""
        self._left = True
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """More has come."""
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        """An answer begins."""
        self._said = b""

    def on_body(self, body: bytes) -> None:
        """A piece of the answer, which holds one event or several."""
        sent = _SENT_AT.findall(body)
        if sent:
            now = self._now()
            self._times.delay.extend([now - float(at) for at in sent])
            if not self.began:
                self.began = True
                self._times.first.append(now - self._due_at)
        self._said = body[-_SAID:]

    def on_message_complete(self) -> None:
        """The answer is whole."""
        self._asked = False
        status = self._parser.get_status_code()
        if status != 200 or b'"error"' in self._said:
            self._times.fail(f"{status}: {self._said.decode(errors='replace')}")
        else:
            self._times.latency.append(self._now() - self._due_at)
        self._done(self)
