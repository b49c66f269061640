"""A transport that can gather what is written and send it as one piece.

uvicorn writes the head and the body of an answer one after the other, and each write is a send of the system's: the
dearest thing that a small answer needs, and one more packet for its client to wake up for.
"""

import asyncio
from typing import Any

_JOINED_BYTES = 1 << 16
"""More is not copied only to be one piece."""


class Gathering:
    """Stands before a connection's transport, and is it in all else."""

    __slots__ = ("_kept", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        """Nothing is kept."""
        self._transport = transport
        self._kept: list[bytes] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether it is, or was closed."""
        return self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Write, or keep it."""
        if self._kept is None:
            self._transport.write(data)
        else:
            self._kept.append(data)

    def gather(self) -> None:
        """From now on, keep what is written."""
        if self._kept is None:
            self._kept = []

    def flush(self) -> None:
        """Write what was kept, and keep no more."""
        kept, self._kept = self._kept, None
        if kept:
            small = sum(map(len, kept)) <= _JOINED_BYTES
            for piece in [b"".join(kept)] if small else kept:
                self._transport.write(piece)

    def close(self) -> None:
        """Close it once all is written."""
        self.flush()
        self._transport.close()
