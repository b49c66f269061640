"""Uploads are read piece by piece, and what is none is refused."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.gateway.batches.form import Form
from dynasor.gateway.refusals import Refused

KIND = {b"content-type": b"multipart/form-data; boundary=XX"}
CONTENT = b"--X\r\n\r\n--XY\r\nlast\n"


def part(name: str, content: bytes, more: str = "") -> bytes:
    return f'--XX\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content + b"\r\n"


BITS = (
    b"--XX",
    b"\r\n",
    b"\n",
    b"--",
    b"Content-Disposition: form-data; ",
    b'name="file"',
    b'filename="',
    b"\r\n\r\n",
    b":",
)
WHOLE = part("purpose", b"batch") + part("file", CONTENT, '; filename="C:\\\\a/b.jsonl"') + b"--XX--\r\n"


@given(st.lists(st.integers(1, len(WHOLE)), max_size=20))
def test_a_form_does_not_depend_on_where_pieces_end(sizes: list[int]) -> None:
    form, content, at = Form(KIND), b"", 0
    for size in [*sizes, len(WHOLE)]:
        content += form.feed(WHOLE[at : at + size])
        at += size
    assert form.end() == "b.jsonl"
    assert (content, form.fields) == (CONTENT, {"purpose": "batch"})


@pytest.mark.parametrize(
    ("headers", "sent", "told"),
    [
        ({}, b"", "multipart/form-data"),
        ({b"content-type": b"application/json"}, b"", "multipart/form-data"),
        ({b"content-type": b"multipart/form-data"}, b"", "multipart/form-data"),
        ({b"content-type": b"multipart/form-data; boundary=" + b"x" * 5000}, b"", "cannot be read"),
        (KIND, b"nothing", "cannot be read"),
        (KIND, WHOLE[:-20], "ends in the midst"),
        (KIND, part("purpose", b"batch") + b"--XX--\r\n", "no part called file"),
        (KIND, part("file", b"x", '; filename="a"') * 2, "two files"),
        (KIND, part("x", b"x") * 17, "more than 16 parts"),
        (KIND, part("purpose", b"x" * 5000), "more than 4096 bytes"),
        (KIND, part("file", b"", "; x=" + "y" * 9000), "cannot be read"),
    ],
)
def test_what_is_no_form_is_refused(headers: dict[bytes, bytes], sent: bytes, told: str) -> None:
    def read() -> None:
        form = Form(headers)
        form.feed(sent)
        form.end()

    with pytest.raises(Refused) as refused:
        read()
    assert (refused.value.status, told in refused.value.told) == (400, True), refused.value.told


@given(st.binary(max_size=60), st.lists(st.sampled_from(BITS) | st.binary(max_size=9), max_size=12))
def test_whatever_comes_is_read_or_refused(kind: bytes, pieces: list[bytes]) -> None:
    for headers in (KIND, {b"content-type": b"multipart/form-data; boundary=" + kind}, {b"content-type": kind}):
        with suppress(Refused):
            form = Form(headers)
            for piece in pieces:
                form.feed(piece)
            form.end()


def test_a_name_is_without_what_does_not_show() -> None:
    form = Form(KIND)
    form.feed(part("file", b"x", '; filename="../../a\tb\u202e.jsonl"') + b"--XX--\r\n")
    assert form.end() == "ab.jsonl"
