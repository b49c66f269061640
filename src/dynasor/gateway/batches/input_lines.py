"""The lines of a batch's input: each is one request, or it is told what is wrong. It reads and writes no file."""

from collections.abc import Iterator
from hashlib import blake2b

import msgspec

from dynasor.gateway.asked import read_asked
from dynasor.gateway.batches.records import Batch, Item
from dynasor.gateway.limits import Limits
from dynasor.gateway.refusals import Refused

ENDPOINTS = ("/v1/chat/completions", "/v1/completions")
_LONGEST_ID = 512
_FRAME_BYTES = 4096  # of a line, beside its body
_BOM = b"\xef\xbb\xbf"


class LineFault(msgspec.Struct, frozen=True):
    """What is wrong with an input; `line` is None where it is not one of its lines."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


class _Line(msgspec.Struct):
    custom_id: str
    method: str
    url: str
    body: msgspec.Raw


_READ = msgspec.json.Decoder(_Line)


class LineCutter:
    """Cuts pieces of a file into lines. One that is too long is given up to its limit, and no further."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._rest = b""
        self._passing_over = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Whole lines, without their ends."""
        *whole, rest = (self._rest + piece).split(b"\n")
        for line in whole:
            if not self._passing_over:
                yield line[: self._longest + 1]
            self._passing_over = False
        if len(rest) > self._longest:
            if not self._passing_over:
                yield rest[: self._longest + 1]
            self._passing_over, rest = True, b""
        self._rest = rest

    def end(self) -> Iterator[bytes]:
        """The last line, where the file does not end in a newline."""
        if self._rest and not self._passing_over:
            yield self._rest
        self._rest = b""


class InputLines:
    """Judges the lines of one input, in order.

    Attributes:
        model: that the first request asks.
        count: requests so far.
    """

    def __init__(self, batch: Batch, limits: Limits, most: int) -> None:
        """No line yet.

        Args:
            batch: that the input is of.
            limits: of every request.
            most: requests.
        """
        self._batch, self._limits, self._most = batch, limits, most
        self._first_lines: dict[bytes, int] = {}  # by what custom_id hashes to: these may be long, and many
        self.model: str | None = None
        self.count = self._place = 0

    @property
    def longest(self) -> int:
        """The most bytes of a line."""
        return self._limits.body_bytes + _FRAME_BYTES

    def judge(self, line: bytes) -> Item | LineFault | None:
        """One line more; None where it is empty."""
        self._place += 1
        line = line.removeprefix(_BOM) if self._place == 1 else line
        if not line.strip():
            return None
        if len(line) > self.longest:
            return self._fault("line_too_long", f"the line has more than {self.longest} bytes; shorten it")
        if self.count == self._most:
            return self._fault("too_many_requests", f"there are more than {self._most} requests; make several files")
        try:
            told = _READ.decode(line)
        except msgspec.ValidationError as fault:
            return self._fault(*_misshapen(str(fault)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
            return self._fault("invalid_json_line", f"the line is not JSON: {fault}")
        return self._wrong(told) or self._item(told)

    def _wrong(self, told: _Line) -> LineFault | None:
        batch = self._batch
        if not 1 <= len(told.custom_id) <= _LONGEST_ID:
            return self._fault("invalid_custom_id", f"custom_id must have 1 to {_LONGEST_ID} characters", "custom_id")
        if told.method != "POST":
            return self._fault("invalid_method", f"method is '{told.method[:40]}'; it must be POST", "method")
        if told.url != batch.endpoint:
            return self._fault("mismatched_url", f"url is '{told.url[:80]}', and the batch's endpoint {batch.endpoint}",
                               "url")  # fmt: skip
        first = self._first_lines.setdefault(_digest(told.custom_id), self._place)
        if first != self._place:
            return self._fault("duplicate_custom_id", f"'{told.custom_id[:80]}' is the custom_id of line {first} too;"
                               " give each request one of its own", "custom_id")  # fmt: skip
        return None

    def _item(self, told: _Line) -> Item | LineFault:
        body = bytes(told.body)
        if len(body) > self._limits.body_bytes:
            return self._fault("request_too_large", f"body has more than {self._limits.body_bytes} bytes", "body")
        try:
            asked = read_asked(body, self._limits)
        except Refused as refused:
            param = "body" if refused.param is None else f"body.{refused.param}"
            return self._fault(refused.code or "invalid_value", refused.told, param)
        if asked.stream:
            return self._fault("unsupported_value", "no answer in a batch is streamed; leave stream out", "body.stream")
        self.model = self.model or _shown(asked.model)
        self.count += 1
        return Item(self._batch.id, self._place, msgspec.json.encode(told.custom_id).decode(), body)

    def _fault(self, code: str, told: str, param: str | None = None) -> LineFault:
        return LineFault(code, told, param, self._place)


def no_requests() -> LineFault:
    """An input without a request."""
    return LineFault("empty_file", "the file holds no request; write one line of JSON for each")


def _misshapen(told: str) -> tuple[str, str, str | None]:
    """The code, the words and the field of a line that is JSON of another shape, as msgspec tells it."""
    _, missing, field = told.partition("missing required field `")
    if missing:
        field = field.partition("`")[0]
        return "missing_required_parameter", f"{field} is missing; a line has custom_id, method, url and body", field
    _, found, path = told.partition("`$.")
    return "invalid_value", f"the line cannot be read: {told}", path.rstrip("`") if found else None


def _shown(model: str | None) -> str | None:
    """A model's name as far as it shows, for not every database takes any character."""
    return None if model is None else "".join(char for char in model[:_LONGEST_ID] if char.isprintable())


def _digest(custom_id: str) -> bytes:
    return blake2b(custom_id.encode(errors="surrogatepass"), digest_size=16).digest()
