"""Server-sent events: bytes in, the data of whole events out. It knows neither sockets nor what the data mean."""

from dynasor.errors import EngineError

LONGEST_LINE_BYTES = 4 << 20  # far above any token's event: what is longer is no event stream


class EventParser:
    """Takes an event stream in pieces of any size; the same bytes give the same events however they are split."""

    __slots__ = ("_after_cr", "_data", "_partial")

    def __init__(self) -> None:
        self._partial = b""
        self._data: list[bytes] = []
        self._after_cr = False

    def feed(self, piece: bytes) -> list[bytes]:
        """Give the `data` of every event that this piece completes; other fields and comments are passed over.

        Raises:
            EngineError: a line grows beyond all measure.
        """
        events: list[bytes] = []
        for line in self._lines(piece):
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
            elif not line and self._data:
                events.append(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
                self._data = []
        return events

    def finish(self) -> list[bytes]:
        """Give the event that the end of the stream completes; many servers leave out the last blank line."""
        return self.feed(b"\n\n")

    def _lines(self, piece: bytes) -> list[bytes]:
        if not piece:
            return []
        if self._after_cr:  # a \r\n that was split between two pieces ends one line, not two
            piece = piece.removeprefix(b"\n")
        self._after_cr = piece.endswith(b"\r")
        buffered = self._partial + piece
        lines = buffered.splitlines()
        self._partial = lines.pop() if lines and not buffered.endswith((b"\n", b"\r")) else b""
        if len(self._partial) > LONGEST_LINE_BYTES:
            raise EngineError(f"the stream holds a line of more than {LONGEST_LINE_BYTES} bytes", retryable=True)
        return lines
