"""What an answer that is passed on has cost: by the usage that the backend tells, else by the events that it sends."""

import msgspec


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Told(msgspec.Struct):
    usage: _Usage | None = None


_READ = msgspec.json.Decoder(_Told)
_NOTHING = _Usage()


class Spent:
    """Tokens of one answer, as far as it tells of them."""

    __slots__ = ("_events", "_last", "_usage")

    def __init__(self) -> None:
        self._events = 0
        self._last = b""
        self._usage: _Usage | None = None

    def events(self, piece: bytes) -> None:
        """Whole events of a stream passed by."""
        self._events += piece.count(b"data: {")
        if b'"usage"' in piece:
            self._last = piece

    def whole(self, body: bytes) -> None:
        """The whole body of an answer passed by."""
        self._usage = _usage(body)

    @property
    def completion_tokens(self) -> int:
        """By usage where it was told, else one for each event."""
        usage = self._told()
        return usage.completion_tokens if usage else self._events

    @property
    def prompt_tokens(self) -> int:
        """By usage; 0 where it was not told."""
        return (self._told() or _NOTHING).prompt_tokens

    @property
    def tokens(self) -> int:
        """Of prompt and answer."""
        return self.prompt_tokens + self.completion_tokens

    def _told(self) -> _Usage | None:
        if self._last:
            for line in self._last.splitlines():
                if line.startswith(b"data:") and b'"usage"' in line:
                    self._usage = _usage(line[5:]) or self._usage
            self._last = b""
        return self._usage


def _usage(body: bytes) -> _Usage | None:
    try:
        return _READ.decode(body).usage
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
