"""Every line of an input is a request, or is told to be wrong, with its number."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.gateway.batches.input_lines import InputLines, LineCutter, LineFault
from dynasor.gateway.batches.records import Batch, Item
from dynasor.gateway.limits import Limits
from support.batch_files import CHAT, line

BATCH = Batch("batch_1", "team", CHAT, "file-1", "24h", 0, 1)


def judged(*lines: Any, limits: Limits | None = None, most: int = 100) -> list[Item | LineFault | None]:
    reader = InputLines(BATCH, limits or Limits(), most)
    return [reader.judge(told if isinstance(told, bytes) else msgspec.json.encode(told)) for told in lines]


def test_requests_keep_their_bodies_as_they_were_written() -> None:
    body = b'{"model": "tiny@sc:cap=4",  "messages": [{"role":"user","content":"\\u0000 1 + 1?"}], "x": 1.0e3}'
    told = b'{"custom_id": "\\u0000a", "method": "POST", "url": "/v1/chat/completions", "body": ' + body + b"}\r"
    (item,) = judged(b"\xef\xbb\xbf" + told)
    assert isinstance(item, Item)
    assert (item.place, item.body, item.id) == (1, body, "batch_req_1_1")
    assert msgspec.json.decode(item.custom_id) == "\0a"


def test_the_model_is_told_as_far_as_it_shows() -> None:
    reader = InputLines(BATCH, Limits(), 9)
    for told in (line("a", model="a\0b\n" + "c" * 9000), line("b", model="other")):
        assert isinstance(reader.judge(msgspec.json.encode(told)), Item)
    assert reader.model == "ab" + "c" * 508


def test_empty_lines_are_passed_over_and_counted() -> None:
    items = judged(line("a"), b"", b"  \r", line("b"))
    assert [item.place if isinstance(item, Item) else item for item in items] == [1, None, None, 4]


@pytest.mark.parametrize(
    ("told", "code", "param"),
    [
        (b"{", "invalid_json_line", None),
        (b"\xff\xfe", "invalid_json_line", None),
        (b'{"x":' * 1000, "invalid_json_line", None),
        (b"[]", "invalid_value", None),
        ({"custom_id": "x"}, "missing_required_parameter", "method"),
        (line("x") | {"custom_id": 3}, "invalid_value", "custom_id"),
        (line(""), "invalid_custom_id", "custom_id"),
        (line("x" * 513), "invalid_custom_id", "custom_id"),
        (line("x") | {"method": "GET"}, "invalid_method", "method"),
        (line("x") | {"url": "/v1/embeddings"}, "mismatched_url", "url"),
        (line("x", url="/v1/completions"), "mismatched_url", "url"),
        (line("first"), "duplicate_custom_id", "custom_id"),
        (line("x") | {"body": 3}, "invalid_value", "body"),
        (line("x", n=0), "invalid_value", "body.n"),
        (line("x", max_tokens=10**9), "limit_exceeded", "body.max_tokens"),
        (line("x", stream=True), "unsupported_value", "body.stream"),
        (line("x", "long " * 400), "request_too_large", "body"),
        (line("x", "long " * 2000), "line_too_long", None),
    ],
)
def test_what_is_wrong_is_told_with_its_line(told: Any, code: str, param: str | None) -> None:
    first, _, fault = judged(line("first"), b"", told, limits=Limits(body_bytes=1000))
    assert isinstance(first, Item)
    assert isinstance(fault, LineFault)
    assert (fault.code, fault.line, fault.param) == (code, 3, param)
    assert fault.message
    assert len(fault.message) < 400
    if code == "duplicate_custom_id":
        assert "line 1" in fault.message


def test_there_are_so_many_requests_and_no_more() -> None:
    *_, second, third = judged(line("a"), line("b"), line("c"), most=2)
    assert isinstance(second, Item)
    assert isinstance(third, LineFault)
    assert third.code == "too_many_requests"


@pytest.mark.slow
@given(lines=st.lists(st.binary(max_size=12).map(lambda told: told.replace(b"\n", b"")), max_size=8), data=st.data())
def test_lines_do_not_depend_on_where_pieces_end(lines: list[bytes], data: st.DataObject) -> None:
    content = b"\n".join(lines)
    cutter, found, at = LineCutter(6), list[bytes](), 0
    while at < len(content):
        size = data.draw(st.integers(1, len(content) - at))
        found += cutter.feed(content[at : at + size])
        at += size
    found += cutter.end()
    whole = content.split(b"\n")
    assert found == [told[:7] for told in (whole if whole[-1] else whole[:-1])]


def test_a_line_without_end_is_not_held() -> None:
    cutter = LineCutter(100)
    found = [told for _ in range(1000) for told in cutter.feed(b"x" * 64)]
    assert found == [b"x" * 101]
    assert [*cutter.feed(b"x\nnext\n")] == [b"next"]
