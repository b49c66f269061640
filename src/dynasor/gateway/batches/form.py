"""A form as clients upload files by it: multipart/form-data, read piece by piece and never held as a whole.

The one place that knows python-multipart.
"""

from collections.abc import Mapping

from dynasor.errors import MissingExtra
from dynasor.gateway.refusals import Refused

try:
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header
except ImportError as missing:
    raise MissingExtra("a batch store", "gateway") from missing

_FIELD_BYTES = 4096
_PARTS = 16
_LONGEST_NAME = 255


class Form:
    """What has come of a form so far.

    Attributes:
        fields: by name, without the file.
        filename: None before the file's part has come.
    """

    def __init__(self, headers: Mapping[bytes, bytes]) -> None:
        """Of a request.

        Raises:
            Refused: it is no form.
        """
        kind, options = parse_options_header(headers.get(b"content-type"))
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise Refused(400, "a file is uploaded as multipart/form-data, with the parts purpose and file",
                          "invalid_form")  # fmt: skip
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self._parts = 0
        self._is_whole = False
        self._header, self._value, self._disposition = b"", b"", b""
        self._name, self._in_file = "", False
        self._field = bytearray()
        self._content = bytearray()
        try:
            self._parser = self._made(boundary)
        except FormParserError as fault:
            raise _unreadable(fault) from None

    def feed(self, piece: bytes) -> bytes:
        """More has come; returns what of it is content of the file.

        Raises:
            Refused: it is no form, or has too much beside the file.
        """
        try:
            self._parser.write(piece)
        except FormParserError as fault:
            raise _unreadable(fault) from None
        content, self._content = bytes(self._content), bytearray()
        return content

    def end(self) -> str:
        """All has come; returns the file's name.

        Raises:
            Refused: the form ends in the midst, or has no file.
        """
        if not self._is_whole:
            raise Refused(400, "the form ends in the midst", "invalid_form")
        if self.filename is None:
            raise Refused(400, "the form has no part called file; upload one", "missing_required_parameter", "file")
        return self.filename

    def _made(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_part_data": self._take,
                "on_part_end": self._end_part,
                "on_header_field": self._take_header,
                "on_header_value": self._take_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_end": self._end,
            },
        )

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > _PARTS:
            raise Refused(400, f"the form has more than {_PARTS} parts", "invalid_form")
        self._disposition, self._in_file = b"", False
        self._field.clear()

    def _take_header(self, piece: bytes, start: int, end: int) -> None:
        self._header += piece[start:end]

    def _take_value(self, piece: bytes, start: int, end: int) -> None:
        self._value += piece[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header, self._value = b"", b""

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode(errors="replace")
        self._in_file = self._name == "file"
        if self._in_file:
            if self.filename is not None:
                raise Refused(400, "the form has two files; upload one at a time", "invalid_form", "file")
            self.filename = _sound_name(options.get(b"filename", b""))

    def _take(self, piece: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._content += piece[start:end]
            return
        self._field += piece[start:end]
        if len(self._field) > _FIELD_BYTES:
            raise Refused(400, f"{self._name[:80]} has more than {_FIELD_BYTES} bytes", "invalid_form")

    def _end_part(self) -> None:
        if not self._in_file:
            self.fields[self._name] = self._field.decode(errors="replace")

    def _end(self) -> None:
        self._is_whole = True


def _sound_name(told: bytes) -> str:
    """A name without a path and without characters that do not show."""
    name = told.decode(errors="replace").replace("\\", "/").rpartition("/")[2]
    return "".join(char for char in name if char.isprintable())[:_LONGEST_NAME] or "file"


def _unreadable(fault: FormParserError) -> Refused:
    return Refused(400, f"the form cannot be read: {type(fault).__name__}", "invalid_form")
