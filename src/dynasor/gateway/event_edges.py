"""Cuts a stream of bytes where events end, so that what was passed on is whole events at every moment.

A stream that breaks in the midst of an event can then still end in one that tells so. No byte is changed or lost.
"""

_LONGEST = 1 << 20  # of one event that is held back


class EventEdges:
    """Holds back the beginning of an event until its end has come."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """More has come; returns the events that are whole."""
        if not self._held and (piece.endswith((b"\n\n", b"\r\n\r\n"))):
            return piece
        piece = self._held + piece
        end = max(piece.rfind(b"\n\n") + 2, piece.rfind(b"\r\n\r\n") + 4, piece.rfind(b"\r\r") + 2)
        if end < 4:  # there is none
            end = 0
        if len(piece) - end > _LONGEST:
            end = len(piece)
        self._held = piece[end:]
        return piece[:end]

    def rest(self) -> bytes:
        """What is held back at the end."""
        held, self._held = self._held, b""
        return held
